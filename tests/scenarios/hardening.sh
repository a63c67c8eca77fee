#!/bin/bash
# What each service sees of the host and may write to, and that it is each line of its unit that has it so: every line that
# systemd-analyze security does not look at is taken out in its turn. No VM runs.
# host: --no-image --release=trixie --go=look
# files: isolation/a.toml
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# The settings are those of `seen` in the generator's security_test.go.
settings='BindPaths|BindReadOnlyPaths|DeviceAllow|InaccessiblePaths|LimitCORE|PrivateIPC|ReadOnlyPaths|ReadWritePaths|SystemCallErrorNumber|TemporaryFileSystem'
# What a service may see, each under a name. Folders in which nothing else is sure to be have a file to be seen by.
places=(bus=/run/dbus/system_bus_socket systemd=/run/systemd/private units=/run/systemd/system notify=/run/systemd/notify journal=/run/systemd/journal/socket
  console=/run/systemd/journal/stdout sessions=/run/user userdb=/run/userdb resolvers=/run/NetworkManager taps=/run/vmsilo/.netdev
  netvms=/run/vmsilo/.netvm marks=/run/vmsilo/.on-demand devices=/run/vmsilo/.pci a=/run/vmsilo/a vmm=/run/vmsilo/a/vmm vsock=/run/vmsilo/a/vsock
  sound=/run/vmsilo/a/sound pipewire=/run/vmsilo/a/pipewire.sock wayland=/run/vmsilo/a/wayland.sock share=/run/vmsilo/a:home.share virtiofs=/run/vmsilo/a:home.sock
  b=/run/vmsilo/b disk=/var/lib/vmsilo/a others-disk=/var/lib/vmsilo/b images=/var/lib/vmsilo/images homes=/home/mark root=/root/mark
  srv=/srv/mark shared=/shared/mark home=/shared/a shadow=/etc/shadow sysctl=/proc/sys/net programs=/usr/bin
  kvm=/dev/kvm vhost=/dev/vhost-net tun=/dev/net/tun block=/dev/none)

# What each service sees. A + is what mounts, or for a device its cgroup, let it write to; ipc is the host's shared memory, core is that it may leave a
# core dump, and an error is what it gets for a call for which the others are killed.
cat >/root/want <<'END'
vmsilo-changed.service: core bus+ systemd+ units+ notify+ journal+ console+ userdb+ resolvers+ taps+ netvms+ marks+ devices+ a+ vmm+ vsock+ sound+ pipewire+ wayland+ share+ virtiofs+ b+ disk others-disk images srv shared home shadow programs
vmsilo-console@a.service: core a vmm vsock sound pipewire wayland srv shared home shadow programs
vmsilo-demand@a.service: core bus systemd units notify journal console userdb resolvers taps netvms marks+ devices a vmm vsock sound pipewire wayland share virtiofs b disk others-disk images srv shared home shadow programs
vmsilo-disk@a.service: core disk+ srv shared home shadow programs
vmsilo-down@a.service: core systemd marks+
vmsilo-home@a.service: core units notify journal console sessions userdb resolvers taps netvms marks devices a vmm vsock sound pipewire wayland share virtiofs b disk others-disk images homes srv shared+ home+ programs
vmsilo-idle@a.service: core systemd marks
vmsilo-lend@a.service: core units notify journal console sessions+ userdb+ resolvers+ taps+ netvms+ marks+ devices+ a+ vmm+ vsock+ sound+ pipewire+ wayland+ share+ virtiofs+ b+ disk+ others-disk+ images+ homes+ root+ srv+ shared+ home+ shadow programs block+
vmsilo-lost@a.service: core bus+ systemd+ units+ notify+ journal+ console+ userdb+ resolvers+ taps+ netvms+ marks+ devices+ a+ vmm+ vsock+ sound+ pipewire+ wayland+ share+ virtiofs+ b+ disk others-disk images srv shared home shadow programs
vmsilo-machine@a.service: core bus
vmsilo-menus.service: core bus systemd units notify journal console sessions userdb resolvers taps netvms marks devices a vmm vsock sound pipewire wayland share virtiofs b disk others-disk images homes srv shared home shadow programs
vmsilo-netdev@a:eth0.service: core resolvers taps+ srv shared home shadow sysctl+ programs tun+
vmsilo-netvm@a:eth0.service: core systemd netvms+
vmsilo-notify@a.service: core a+ vmm+ vsock+ sound+ pipewire+ wayland+ srv shared home shadow programs
vmsilo-pci@a.service: core journal devices+ srv shared home shadow sysctl programs block
vmsilo-pipewire@a.service: core sessions shadow programs
vmsilo-proxy@a.service: core notify sessions shadow programs
vmsilo-resolver.service: core resolvers taps+ srv shared home shadow sysctl+ programs
vmsilo-run@a.service: core a vmm vsock sound pipewire wayland srv shared home shadow programs
vmsilo-share@a:home.service: share home+ shadow sysctl programs EPERM
vmsilo-sound@a.service: a sound+ pipewire+ srv shared home shadow programs EPERM
vmsilo-status.service: ipc core bus systemd units notify journal console sessions userdb resolvers taps netvms marks devices a vmm vsock sound pipewire wayland share virtiofs b disk others-disk images homes srv shared home shadow programs
vmsilo-user@a.service: core journal userdb+ a+ vmm+ vsock+ sound+ pipewire+ wayland+ disk others-disk images homes srv shared home programs
vmsilo-vmm@a.service: core notify a vmm+ vsock sound pipewire wayland srv shared home shadow programs
vmsilo-vsock@a.service: a vsock+ srv shared home shadow programs
vmsilo-waypipe@a.service: core a wayland shadow programs
vmsilo@a.service: console a+ vmm+ vsock+ sound+ pipewire+ wayland+ virtiofs+ disk+ images homes srv shared home shadow programs kvm+ vhost+ tun+ EPERM
END

# of UNIT prints the lines of a service that are not about its program.
of() {
  systemctl cat "$1" | awk '
    /^#/ { next }
    /\\$/ { sub(/\\$/, ""); line = line $0; next }
    { $0 = line $0; line = "" }
    /^\[/ { service = /^\[Service\]/; next }
    service && NF
  ' | grep --invert-match --extended-regexp \
    '^(Exec|Type|BusName|Environment|KillSignal|NotifyAccess|RemainAfterExit|Restart|RuntimeDirectoryPreserve|Standard|SuccessExit|Timeout)'
}

# elsewhere UNIT LINE tells whether what the line does is not to be seen here. Systemd 257 shows a folder that is the
# service's own without it, too. /sys is read-only here, and tests/scenarios/passthrough.sh has one that is not.
elsewhere() {
  case $2 in
  BindPaths=/run/*) of "$1" | grep --quiet --line-regexp "RuntimeDirectory=${2#BindPaths=/run/}" ;;
  BindPaths=/var/lib/*) of "$1" | grep --quiet --line-regexp "StateDirectory=${2#BindPaths=/var/lib/}" ;;
  *) [[ $2 == "ReadWritePaths=/sys/bus/pci /sys/devices" ]] ;;
  esac
}

# look UNIT WHAT makes a service that has the lines of its input, and that has tests/look look.
looks=() what=()
look() {
  local name=look-${#looks[@]} instance=${1#*@}
  {
    printf '[Unit]\nCollectMode=inactive-or-failed\n[Service]\n'
    cat
    printf '%s\n' Type=oneshot RuntimeDirectoryPreserve=yes "StandardOutput=file:/root/$name" BindReadOnlyPaths=/usr/local/bin/look \
      "ExecStart=/usr/local/bin/look $(readlink /proc/self/ns/ipc) ${places[*]}"
  } >"/run/systemd/system/$name@.service"
  looks+=("$name@${instance%.service}")
  what+=("$1 $2")
}

echo "the host"
# What the VM is not started with.
for program in qemu-system-x86_64 vhost-device-vsock qemu-img; do
  [[ -x /usr/bin/$program ]] || ln --symbolic /usr/bin/true "/usr/bin/$program"
done
install -D /dev/null /var/lib/vmsilo/images/default/vmlinuz
touch /var/lib/vmsilo/images/default/{initrd,root.erofs}
systemctl daemon-reload
check "the VM has a user and a folder" systemctl start vmsilo-home@a
mkdir --parents /run/vmsilo/{.netdev,.netvm,.on-demand,.pci,b,a/{sound,vmm}} /run/user /run/NetworkManager /var/lib/vmsilo/{a,b}
touch /run/vmsilo/a/{pipewire,wayland}.sock /run/vmsilo/a:home.{sock,share} /{home,root,srv,shared}/mark
# Devices that no driver has: who may open them is told so.
mknod --mode=666 /dev/kvm c 10 250
mknod --mode=666 /dev/vhost-net c 10 251
mknod --mode=666 /dev/none b 42 0

for file in /usr/lib/systemd/system/vmsilo*.service; do
  unit=${file##*/}
  case $unit in
  vmsilo-share@*) unit=${unit/@/@a:home} ;;
  vmsilo-netdev@* | vmsilo-netvm@*) unit=${unit/@/@a:eth0} ;;
  *) unit=${unit/@/@a} ;;
  esac
  look "$unit" "" < <(of "$unit")
  while IFS=: read -r number line; do
    elsewhere "$unit" "$line" || look "$unit" "$line" < <(of "$unit" | sed "${number}d")
  done < <(of "$unit" | grep --line-number --extended-regexp "^($settings)=")
done
systemctl daemon-reload
# Most are killed for the last thing that they do.
systemctl start "${looks[@]}" 2>/dev/null

for n in "${!looks[@]}"; do
  read -r unit line <<<"${what[n]}"
  sees=$(xargs <"/root/look-$n")
  if [[ -z $line ]]; then
    whole=$sees
    check "$unit sees this and no more" same "$(sed -n "s/^$unit: //p" /root/want)" "$sees"
  else
    check "$unit: $line" fails same "$whole" "$sees"
  fi
done
finish
