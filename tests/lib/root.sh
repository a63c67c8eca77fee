# shellcheck shell=bash disable=SC2154 # variables of the files that it names below
# The Debian roots that a host starts from. Sourced; uses cache.sh.

root_packages() {
  local common=systemd,systemd-sysv,dbus,libnss-systemd,libpam-systemd,iproute2,nftables,procps,socat,less,util-linux
  common+=,jq,qemu-utils,polkitd,libglib2.0-bin,desktop-file-utils,python3-xdg
  case $1 in
  trixie) echo "$common,kmod,qemu-system-x86,virtiofsd,vhost-device-vsock,mmdebstrap,erofs-utils,openssh-client,tmux,systemd-container" ;;
  # a desktop's session: its compositor and what looks at it, and its sound
  desktop) echo "$(root_packages trixie),dbus-user-session,sway,grim,wayland-utils,waypipe,foot,fonts-dejavu-core,pipewire-bin,pipewire,wireplumber" ;;
  bookworm) echo "$common" ;; # systemd 252, the oldest that is supported; no guest runs here
  bare) echo systemd,systemd-sysv,iproute2,procps,socat,jq ;; # what every machine has, and what scenarios need
  esac
}

# root_forky, run by mmdebstrap before it reads any list, lets a root have packages of Debian forky, of the same mirror.
# A mirror that is not kept current has an expired Release file of forky, which will do for one package.
# shellcheck disable=SC2016,SC2089 # expanded by the shell that mmdebstrap runs the hook in
root_forky='sed -n "s/^deb \(.*\) trixie main$/deb [check-valid-until=no] \1 forky main/p" "$1/etc/apt/sources.list" \
  >"$1/etc/apt/sources.list.d/forky.list"
printf "%s\n" "$pins" >"$1/etc/apt/preferences.d/forky"'

# root_bare, in its place, is for what the README has people install: the same Release file.
# shellcheck disable=SC2016,SC2089 # as above
root_bare='echo "Acquire::Check-Valid-Until false;" >"$1/etc/apt/apt.conf.d/mirror"'

# root_pins prints apt's preferences: vhost-device-vsock, and nothing else, is from Debian forky, the first to have it.
root_pins() {
  cat <<-'END'
	Package: *
	Pin: release n=forky
	Pin-Priority: -10

	Package: vhost-device-vsock
	Pin: release n=forky
	Pin-Priority: 500
	END
}

# root_recipe RELEASE DIRECTORY makes the root there.
root_recipe() {
  local release=$1 root=$2 hook=true
  case $1 in
  trixie) hook=$root_forky ;;
  desktop) release=trixie hook=$root_forky ;;
  bare) release=trixie hook=$root_bare ;;
  esac
  pins=$(root_pins) logged "mmdebstrap could not make a $1 root" \
    mmdebstrap --mode=root --variant=minbase --format=directory --include="$(root_packages "$1")" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --setup-hook="$hook" "$release" "$root"
  chmod 755 "$root"
  root_finish "$root"
}

# root_finish DIRECTORY makes the root a machine that boots in a second, with two people on it.
root_finish() {
  chroot "$1" useradd --create-home --uid 1000 --shell /bin/bash alice
  chroot "$1" useradd --create-home --uid 1001 --shell /bin/bash bob
  echo LANG=C.UTF-8 >"$1/etc/default/locale"
  echo vmsilo-host >"$1/etc/hostname"
  printf '127.0.0.1 localhost vmsilo-host\n::1 localhost\n' >"$1/etc/hosts"
  # Users of userdb records are found by nss-systemd alone, which a minimal root may not have wired up.
  sed -i -E '/systemd/! s/^((passwd|group|shadow|gshadow):.*)$/\1 systemd/' "$1/etc/nsswitch.conf"
  # Neither timers that wake up in mid-test nor consoles that nobody looks at.
  systemctl --quiet --root="$1" mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer console-getty.service getty.target systemd-networkd-wait-online.service systemd-firstboot.service
  rm -f "$1/etc/machine-id" "$1/etc/resolv.conf" "$1/var/lib/dbus/machine-id"
}

# debian_root RELEASE leaves the path of a root in $root; it is not to be written to.
debian_root() {
  local key
  # shellcheck disable=SC2090 # the variable is printed
  key=$({ root_packages "$1" && root_pins && declare -p root_forky root_bare && declare -f root_recipe root_finish; } | key)
  cached "root-$1" "$key" 8 root_recipe "$1"
  root=$cached
}
