# shellcheck shell=bash
# What bash completes of vmsilo(1). It starts no program: names are those of files and folders.

# _vmsilo_files FOLDER… prints the names of the folders' TOML files.
_vmsilo_files() {
  local folder file
  for folder in "$@"; do
    for file in "$folder"/*.toml; do
      file=${file##*/}
      [[ $file == '*.toml' || $file == vmsilo.toml ]] || echo "${file%.toml}"
    done
  done
}

_vmsilo_vms() {
  local IFS=:
  # shellcheck disable=SC2086 # a list
  _vmsilo_files ${VMSILO_CONFIG_PATH:-/etc/vmsilo:/usr/lib/vmsilo}
}

# _vmsilo_folders PATTERN prints the names of folders.
_vmsilo_folders() {
  local folder
  for folder in $1; do
    [[ ! -d $folder ]] || echo "${folder##*/}"
  done
}

_vmsilo() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} operands=() images=/var/lib/vmsilo/images words='' i
  for ((i = 2; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
    =) i=$((i + 1)) ;; # bash breaks --env=NAME=VALUE at each of these
    -*) ;;
    *) operands+=("${COMP_WORDS[i]}") ;;
    esac
  done
  [[ $COMP_CWORD -gt 1 ]] || command=''
  if [[ $command == image && "$before $word" == *"="* ]]; then
    # The value of --recipe, which is the name of one or a path.
    mapfile -t COMPREPLY < <(compgen -W "$(_vmsilo_files /usr/share/vmsilo/recipes)" -- "${word#=}")
    return
  fi
  case $command:${#operands[@]}:${operands[0]}:$word in
  :*) words='run shell console pause resume balloon resize list why check image --help' ;;
  image:0:*) words='build list use remove' ;;
  image:[12]:build:-*) words='--recipe=' ;;
  image:1:list:*) ;;
  image:1:*) words=$(_vmsilo_folders "$images/*") ;;
  image:2:use:* | image:2:remove:*) words=$(_vmsilo_folders "$images/.${operands[1]}/*") ;;
  run:0:*:-*) words='-t --terminal --env= --directory= --help' ;;
  list:0:*) words='--json --help' ;;
  run:0:* | shell:0:* | console:0:* | pause:0:* | resume:0:* | balloon:0:* | resize:0:* | why:0:*) words=$(_vmsilo_vms) ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
}
complete -F _vmsilo vmsilo
