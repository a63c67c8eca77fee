# shellcheck shell=bash
# Things that take long to make and are kept outside the checkout. Sourced; uses say.sh, namespace.sh.
#
# A cached thing is the directory KIND-KEY, where KEY is a hash of all that it is made from. It is made under
# another name and renamed, so that it is there whole or not at all. KIND.lock is held while one is made,
# KIND-KEY.lock (shared) while one is used: a thing in use is not removed.

cache=${VMSILO_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vmsilo}

# key prints a key of standard input.
key() {
  sha256sum | cut -c 1-12
}

# cached KIND KEY FD COMMAND… makes $cache/KIND-KEY by COMMAND… DIRECTORY unless it is there, and holds it
# by the file descriptor FD until this process ends. The path is left in $cached.
cached() {
  local kind=$1 key=$2 fd=$3 label=${1/-/ } start
  shift 3
  cached=$cache/$kind-$key
  mkdir -p "$cache"
  if cache_hold "$fd"; then
    step "$label: cached"
    return
  fi
  exec 6>"$cache/$kind.lock"
  flock -n 6 || { step "$label: waiting for another run that makes it" && flock 6; }
  if cache_hold "$fd"; then
    step "$label: made by the other run"
  else
    step "$label: making it"
    start=$(now)
    cache_sweep "$kind" "$key"
    making=$(mktemp -d "$cache/.$kind.XXXXXX")
    "$@" "$making"
    mv -T "$making" "$cached"
    making=''
    step "$label: made in $(seconds_since "$start")"
  fi
  exec 6>&-
}

# cache_hold FD keeps $cached from being removed, and tells whether it is there.
cache_hold() {
  eval "exec $1>\"\$cached.lock\""
  flock -s "$1"
  [[ -d $cached ]]
}

# cache_abandon removes what a script that ends was making.
cache_abandon() {
  [[ -z ${making:-} ]] || remove_tree "$making"
}

# cache_sweep KIND KEEP removes what is left of KIND but KIND-KEEP: half-made ones, old keys that nobody uses.
# The lock of KIND is held by the caller.
cache_sweep() {
  local path
  rm -rf --one-file-system "$cache/.$1."*
  for path in "$cache/$1"-????????????.lock; do # a key has so many letters, and another kind may begin like this one
    [[ -e $path && $path != "$cache/$1-$2.lock" ]] || continue
    flock -n "$path" rm -rf --one-file-system "${path%.lock}" "$path" || true
  done
}

# cache_clean removes every cached thing that nobody uses.
cache_clean() {
  local kind
  for kind in root-trixie root-desktop root-bookworm root-bare program-vhost-device-sound image-debian-13 image-debian-13-desktop image-debian-12 \
    image-by-hand; do
    [[ -e $cache/$kind.lock ]] || continue
    exec 6>"$cache/$kind.lock"
    flock 6
    cache_sweep "$kind" ''
    exec 6>&-
  done
  rm -rf --one-file-system "$cache"/build-*
}
