# shellcheck shell=bash
# What the scripts in tests/ need on the machine they run on. Sourced; uses say.sh.

# A purpose's list. COMMAND:PACKAGE is there when the command is, wherever it came from;
# a bare PACKAGE is there when dpkg says so.
declare -A needs=(
  # Debian roots and systemd-nspawn over an overlay of them (tests/host)
  [host]='mmdebstrap:mmdebstrap systemd-nspawn:systemd-container ip:iproute2 nsenter:util-linux flock:util-linux git:git
    findmnt:util-linux tar:tar debian-archive-keyring ca-certificates'
  # meson compile and install; systemd.pc tells where units go; go-md2man makes the man page
  [build]='meson:meson ninja:ninja-build pkg-config:pkg-config systemd.pc:systemd-dev go-md2man:go-md2man'
  # go test, with the race detector; tests that make disks, devices, a bus and windows; linting
  [check]='gcc:gcc libc6-dev qemu-img:qemu-utils ip:iproute2 nft:nftables systemd-analyze:systemd libnss-systemd
    shellcheck:shellcheck dbus-daemon:dbus-daemon waypipe:waypipe'
  # the shells whose completions are asked for
  [completions]='zsh:zsh fish:fish'
)

# need PURPOSE… installs what is missing of the purposes' lists. It is for the beginning of a script, before anything
# that is killed with it: a killed dpkg leaves a mess.
need() {
  local purpose item missing=()
  for purpose in "$@"; do
    [[ -n ${needs[$purpose]:-} ]] || die "need: unknown purpose \"$purpose\""
    for item in ${needs[$purpose]}; do
      have "$item" || missing+=("$(package_of "$item")")
    done
  done
  [[ ${#missing[@]} -eq 0 ]] || install_packages "${missing[@]}"
}

# have ITEM tells whether one item of a list is there.
have() {
  case $1 in
  systemd.pc:*) pkg-config --exists systemd 2>/dev/null ;;
  *:*) command -v "${1%%:*}" >/dev/null ;;
  *) ! command -v dpkg-query >/dev/null ||
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]] ;;
  esac
}

package_of() {
  # systemd.pc is in the package systemd before Debian 13.
  if [[ $1 == systemd.pc:* && $(sed -n 's/^VERSION_ID="\(.*\)"/\1/p' /etc/os-release) -le 12 ]]; then
    echo systemd
  else
    echo "${1#*:}"
  fi
}

# install_packages PACKAGE… installs from Debian; one script at a time, as apt's lists have no waiting lock.
install_packages() {
  command -v apt-get >/dev/null ||
    die "missing on this machine: $*" "install what provides them; the names are Debian's packages"
  [[ $EUID -eq 0 ]] || die "missing on this machine: $*" "run: sudo apt-get install --no-install-recommends $*"
  step "installing $*"
  local log
  log=$(mktemp)
  (
    flock 9
    export DEBIAN_FRONTEND=noninteractive
    apt-get update && apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
  ) 9<"${BASH_SOURCE[0]}" >"$log" 2>&1 </dev/null || {
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "apt-get could not install $*"
  }
  rm -f "$log"
}
