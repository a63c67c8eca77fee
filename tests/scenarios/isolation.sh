#!/bin/bash
# Each VM apart from the others and from the host: who its processes are, what they see, and what other users of the host
# may do to it.
# files: isolation/*.toml
# shellcheck disable=SC2016,SC2317 # for other shells, and functions that check calls
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# up VM starts it, and says in the place of its guest, which does not run, that it is up.
up() {
  systemctl start --no-block "vmsilo@$1"
  for _ in {1..600}; do
    [[ ! -S /run/vmsilo/$1/vmm/qmp.sock ]] || break
    sleep 0.1
  done
  socat -u - "UNIX-CONNECT:/run/vmsilo/$1/vsock/host.sock_5001" <<<READY=1
  systemctl start "vmsilo@$1"
}

# as USER COMMAND… runs it with the user's name and groups, and no capability.
as() {
  setpriv --reuid="$1" --regid="$1" --init-groups --bounding-set=-all --inh-caps=-all --no-new-privs "${@:2}" 2>&1
}

# denied WHY COMMAND… succeeds when the command fails, and says why.
denied() {
  local why=$1 out
  shift
  ! out=$("$@" 2>&1) || { echo "it works: $* $out" && return 1; }
  holds "$out" "$why"
}

# all COMMAND… runs the command with each line of its input, and succeeds when it does each time; there must be one.
all() {
  local line status=1
  while read -r line; do
    "$@" "$line" || return 1
    status=0
  done
  return "$status"
}

main_pid() { systemctl show --property=MainPID --value "$1"; }
runs_as() { ps --format=user:32= "$(main_pid "$1")"; }
# processes VM prints all of them, of which there are several in a service.
processes() { cat "/sys/fs/cgroup/vmsilo.slice/vmsilo-$1.slice"/*/cgroup.procs; }
# users VM prints whose they are. What hears the guest is there for a moment.
users() {
  ps --no-headers --format=user:32=,comm= --pid "$(processes "$1" | paste --serial --delimiters=,)" | grep --invert-match vmsilo-notify |
    sort --unique | awk '{ print $1, $2 }'
}
sockets() { find /run/vmsilo -type s -path "/run/vmsilo/$1[/.:]*" -printf '%P\n' | sort; }
connect() { perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0) && connect(S, pack_sockaddr_un("/run/vmsilo/$ARGV[0]")) or die "$!\n"' "$1"; }
# TUNSETIFF with IFF_TAP and IFF_NO_PI.
attach() { perl -e 'open(T, "+<", "/dev/net/tun") && ioctl(T, 0x400454ca, pack("Z16sx22", $ARGV[0], 0x1002)) or die "$!\n"' "$1"; }
# PTRACE_SEIZE, which does not stop the process.
trace() { perl -e 'syscall(101, 0x4206, $ARGV[0] + 0, 0, 0) == 0 or die "$!\n"' "$1"; }
export -f connect attach trace

# Each part of a, and the VMM of c, says what it sees before it begins.
cat >/usr/local/bin/look <<'END'
#!/bin/bash
say() { echo "look: $1: $(eval "$2" 2>/dev/null | xargs)"; }
say run 'ls /run; ls /run/vmsilo; ls /run/vmsilo/[abc]'
say var 'ls /var/lib/vmsilo'
say tmp 'ls /tmp'
say devices 'cd /dev; ls -d kvm net/tun; true <>/dev/kvm && echo kvm opens'
say secret 'head -c 1 /etc/shadow; ls /root; ls /etc/passwd'
say write 'for f in /usr/x /etc/x /var/x /home/x /run/x /run/vmsilo/x /var/lib/vmsilo/x; do touch $f && echo $f && rm $f; done'
say ipc 'readlink /proc/self/ns/ipc'
say core 'ulimit -H -c'
# sched_setparam(2), which is one of @resources.
say filter 'perl -e '\''syscall(142, 0, 0); print "$!"'\'
say reaches 'perl -MSocket -e '\''
  for ("/run/dbus/system_bus_socket", "/run/systemd/private", "/run/vmsilo/b.run", "\0test") {
    socket(S, AF_UNIX, SOCK_STREAM, 0); print connect(S, pack_sockaddr_un($_)) ? "$_ " : "";
  }
  print socket(S, AF_INET, SOCK_STREAM, 0) && connect(S, pack_sockaddr_in(7, INADDR_LOOPBACK)) ? "the network" : ""'\'' | tr -d "\0"'
exit 0
END
chmod 755 /usr/local/bin/look
for unit in vmsilo@{a,c}.service vmsilo-@a.service vmsilo-{lost,down}@a.service vmsilo-netdev@a:eth0.service \
  vmsilo-share@a:home.service; do
  mkdir "/etc/systemd/system/$unit.d"
  section=${unit##*.}
  printf '[%s]\nExecStartPre=-/bin/bash /usr/local/bin/look\n' "${section^}" >"/etc/systemd/system/$unit.d/90-look.conf"
done
echo 'BindReadOnlyPaths=/usr /bin /lib /lib64' >>/etc/systemd/system/vmsilo-down@a.service.d/90-look.conf
# Not KVM: another device, which no unit of c may open, under the name of the one that its VMM may.
mknod --mode=660 /dev/kvm c 10 200 && chgrp kvm /dev/kvm
install -D --mode=644 --target-directory=/run/image/new /var/lib/vmsilo/images/default/vmlinuz
install -D --mode=644 --target-directory=/tmp/image /var/lib/vmsilo/images/default/initrd
# Something of the host's that listens, and a file that root alone reads.
socat TCP-LISTEN:7,fork OPEN:/dev/null &
socat ABSTRACT-LISTEN:test,fork OPEN:/dev/null &
systemctl daemon-reload

# saw UNIT WHAT tells what it saw, when it has seen all.
saw() {
  local log
  for _ in {1..100}; do
    log=$(journalctl --boot --output=cat --unit="$1")
    [[ $log != *"look: reaches:"* ]] || break
    sleep 0.1
  done
  sed -n "s/^look: $2: //p" <<<"$log" | head -n 1
}

echo "who runs what"
for vm in a b c; do
  check "$vm starts" up $vm
  # At once: what hears the guest leaves when that is silent.
  [[ $vm == c ]] || check "$vm: the VMM, the vsock device and what hears the guest" same "vmsilo-$vm vmsilo-$vm vmsilo-$vm" \
    "$(for part in '' -vsock -notify; do runs_as "vmsilo$part@$vm"; done | xargs)"
done
check "a: its folder is served by alice" same alice "$(runs_as vmsilo-share@a:home)"
check "b: and b's by bob" same bob "$(runs_as vmsilo-share@b:home)"
for each in "a alice" "b bob"; do
  vm=${each% *}
  # Others help with the start, and are gone soon.
  check "$vm: all of its processes" becomes "^${each#* } virtiofsd vmsilo-$vm qemu-system-x86 vmsilo-$vm vhost-device-vs vmsilo-$vm vmsilo-qemu$" \
    users "$vm"
done
check "nothing runs as root" await fails pgrep --list-full --uid=root --full '(^|/)(qemu-system|vhost-device|virtiofsd|vmsilo-)'
check "a console is carried" as alice bash -c 'connect "$0"' a.console

echo "what each sees"
check "the VMM of a" same "systemd vmsilo a a:home.sock shares started vmm vsock" "$(saw vmsilo@a run)"
check "and its disk" same "a images" "$(saw vmsilo@a var)"
check "the VMM of c, which has less, and its kernel there" same "image systemd vmsilo c started vmm vsock / images" \
  "$(saw vmsilo@c run) / $(saw vmsilo@c var)"
check "and its initrd, and nothing else that is in /tmp" same "image / " "$(saw vmsilo@c tmp) / $(saw vmsilo@a tmp)"
check "the vsock device" same "systemd vmsilo a vsock" "$(saw vmsilo-vsock@a run)"
check "what hears the guest" same "systemd vmsilo a shares started vmm vsock" "$(saw vmsilo-notify@a run)"
check "what carries the console" same "systemd vmsilo a shares started vmm vsock" "$(saw vmsilo-console@a run)"
check "what makes the disk" same "systemd / a" "$(saw vmsilo-disk@a run) / $(saw vmsilo-disk@a var)"
check "what makes the TAP" same "systemd vmsilo" "$(saw vmsilo-netdev@a:eth0 run)"
check "what makes the user" same "systemd userdb vmsilo a" "$(saw vmsilo-user@a run)"
check "virtiofsd" same "systemd vmsilo a:home.share" "$(saw vmsilo-share@a:home.service run)"
for unit in vmsilo-{vsock,notify,console}@a vmsilo-netdev@a:eth0 vmsilo-share@a:home.service; do
  check "$unit: nothing of the VMs' disks" same "" "$(saw "$unit" var)"
done
for unit in vmsilo@{a,c} vmsilo-{vsock,notify,console,disk,user}@a vmsilo-home@a vmsilo-netdev@a:eth0 vmsilo-share@a:home.service; do
  check "$unit: what is root's is not to be read" same /etc/passwd "$(saw "$unit" secret)"
  check "$unit: nothing is to be written" same "" "$(saw "$unit" write)"
done

echo "what each reaches"
for unit in vmsilo@c vmsilo-{vsock,notify,console,disk,user,home}@a vmsilo-share@a:home.service; do
  check "$unit: nothing" same "" "$(saw "$unit" reaches)"
done
for unit in vmsilo@a vmsilo-netdev@a:eth0; do
  check "$unit: the names of the network that its TAP is in, no more" same test "$(saw "$unit" reaches)"
done
for unit in vmsilo@{a,c} vmsilo-{vsock,notify,console}@a vmsilo-share@a:home.service; do
  check "$unit: no shared memory of the host" fails same "$(readlink /proc/self/ns/ipc)" "$(saw "$unit" ipc)"
done
check "the VMM of a: devices" same "kvm net/tun kvm opens" "$(saw vmsilo@a devices)"
check "the VMM of c, which has no TAP" same "kvm kvm opens" "$(saw vmsilo@c devices)"
check "the vsock device has none" same "" "$(saw vmsilo-vsock@a devices)"
check "the VMM of a, as virtiofsd, may ask for what it does not get" same "Operation not permitted, Operation not permitted" \
  "$(saw vmsilo@a filter), $(saw vmsilo-share@a:home.service filter)"
check "what is vmsilo's own may not" same "" "$(saw vmsilo-notify@a filter)"
for unit in vmsilo@a vmsilo-vsock@a vmsilo-share@a:home.service; do
  check "$unit: the guest's memory is in no core dump" same 0 "$(saw "$unit" core)"
done

echo "other users of the host"
check "the sockets of b are these" same "b.console b.run b.vmm b/vmm/console.sock b/vmm/qmp.sock b/vsock/host.sock b/vsock/host.sock_5001 b/vsock/vhost.sock b:home.sock" \
  "$(sockets b | xargs)"
# Whoever else it is: another VM, the user of another VM; and for a, the user of b.
while read -r who vm owner; do
  check "$who: no socket of $vm" all denied "Permission denied" as "$who" bash -c 'connect "$0"' < <(sockets "$vm")
  check "$who: not the TAP of $vm" denied "Operation not permitted" as "$who" bash -c 'attach "$0"' "$vm-22"
  check "$who: not the disk of $vm" denied "Permission denied" as "$who" head -c 1 "/var/lib/vmsilo/$vm/ephemeral.qcow2"
  check "$who: not the record of its TAP" denied "Permission denied" as "$who" cat "/run/vmsilo/.netdev/$vm:eth0"
  check "$who: not the folder of $owner" denied "Permission denied" as "$who" ls "/shared/$vm"
  check "$who: no signal to $vm" all denied "Operation not permitted" as "$who" kill -s CONT < <(processes "$vm")
  check "$who: no trace of $vm" all denied "Operation not permitted" as "$who" bash -c 'trace "$0"' < <(processes "$vm")
done <<'END'
vmsilo-a b bob
alice b bob
bob a alice
END
# That all of this would work for somebody.
check "b itself: its TAP is in use" denied "busy" as vmsilo-b bash -c 'attach "$0"' b-22
check "b itself: its sockets" all as vmsilo-b test -w < <(sockets b | grep --invert-match --extended-regexp '\.(console|run|vmm)$' | sed 's,^,/run/vmsilo/,')
check "bob: those of b that are for people" all as bob bash -c 'connect "$0"' < <(sockets b | grep --extended-regexp '\.(console|run|vmm)$')
check "b itself: its disk" as vmsilo-b test -r /var/lib/vmsilo/b/ephemeral.qcow2
check "b itself: a signal to its VMM" as vmsilo-b kill -s CONT "$(main_pid vmsilo@b)"
check "root: a trace of it" trace "$(main_pid vmsilo@b)"
check "b itself: no trace of its VMM" denied "Operation not permitted" as vmsilo-b bash -c 'trace "$0"' "$(main_pid vmsilo@b)"
check "each TAP is its VM's own" same "70003 70004" "$(cat /sys/class/net/[a-z]-22/owner | xargs)"

echo "limits"
limits=(MemoryMax=268435456 CPUWeight=50 TasksMax=64)
# has_limits tells whether the slice has them, and the kernel, where it can limit these on this machine.
has_limits() {
  local group=/sys/fs/cgroup/vmsilo.slice/vmsilo-a.slice pair
  same "${limits[*]}" "$(systemctl show --property=MemoryMax --property=CPUWeight --property=TasksMax vmsilo-a.slice | sort --reverse | xargs | awk '{print $2, $3, $1}')"
  for pair in memory.max=268435456 cpu.weight=50 pids.max=64; do
    if grep --quiet --word-regexp "${pair%%.*}" /sys/fs/cgroup/cgroup.controllers; then
      same "${pair#*=}" "$(cat "$group/${pair%=*}")" || return 1
    fi
  done
}
echo "this machine limits: $(cat /sys/fs/cgroup/cgroup.controllers)"
check "a slice takes limits while its VM runs" systemctl set-property vmsilo-a.slice "${limits[@]}"
check "they are there" has_limits
systemctl daemon-reload
check "a reload leaves them" has_limits
systemctl stop vmsilo@a
check "a starts again" up a
check "with them" has_limits

echo "the end"
# Stops a, as the loss of a share does.
systemctl start vmsilo-lost@a
check "nothing is left of a" nothing_left a
check "what says that a share is lost" same "" "$(saw vmsilo-lost@a write)"
check "and reaches no network" fails holds "$(saw vmsilo-lost@a reaches)" network
check "what cleans up is root, and has no file of root's" same "" "$(saw vmsilo-down@a secret)"
check "nor anything but systemd to talk to" same /run/systemd/private "$(saw vmsilo-down@a reaches)"
check "nor anything to write, in a /run of its own" same /run/x "$(saw vmsilo-down@a write)"
systemctl stop vmsilo@b vmsilo@c
check "nothing is left of b" nothing_left b
# While a TAP comes and goes, somebody else tries to be the first. It is stopped by what it needs, as it has no VM.
as bob bash -c 'while :; do ! attach b-22 2>/dev/null || touch /tmp/attached; done' &
for _ in {1..5}; do
  systemctl start vmsilo-netdev@b:eth0
  systemctl stop vmsilo-user@b
done
kill $!
wait $! 2>/dev/null
check "no TAP was there without an owner" fails test -e /tmp/attached
check "nothing is left" nothing_left
finish
