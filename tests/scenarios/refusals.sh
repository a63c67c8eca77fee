#!/bin/bash
# What cannot start says why, at once, in one line, and leaves nothing.
# host: --no-image
# Functions that are called by name.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# why VM prints what systemctl status shows of a VM that was just started in vain.
why() {
  journalctl --sync
  systemctl status --no-pager --full "$1" 2>&1 || true
}

# refused VM PART… starts a VM, which must fail at once with one message that holds every part.
refused() {
  local vm=$1 before=$EPOCHREALTIME
  shift
  check "vmsilo@$vm does not start" fails systemctl start "vmsilo@$vm" 2>&1
  check "vmsilo@$vm fails within $limit s" test $((${EPOCHREALTIME/./} - ${before/./})) -lt "${limit}000000"
  check "systemctl status vmsilo@$vm shows why" holds "$(why "vmsilo@$vm")" "$@"
  check "nothing is left of $vm" nothing_left "$vm"
}

write() {
  cat >"/etc/vmsilo/$1.toml"
}

image() {
  mkdir -p "$1"
  touch "$1/vmlinuz" "$1/initrd" "$1/root.erofs"
}

# It takes one or two; what waits for something in vain does so for ten at least. Between them are machines that stand still for a moment.
limit=8
refused nosuch 'no VM is named nosuch; none is configured'

printf 'id = 3\nmemroy = "1G"\n' | write bad
printf 'id = 4\nhypervisor = "qemu"\n' | write noimage
printf 'id = 5\nhypervisor = "qemu"\nkernel = "/srv/image/none"\nimage = "/srv/image"\n' | write nokernel
printf 'id = 6\nhypervisor = "qemu"\nkernel = "/srv/fifo"\nimage = "/srv/image"\n' | write fifo
printf 'id = 7\nhypervisor = "qemu"\nimage = "/srv/image"\n' | write noprogram
printf 'id = 8\nimage = "/srv/image"\n' | write nocrosvm
printf 'id = 9\n' | write twin1
printf 'id = 9\n' | write twin2
printf 'id = 33\nhypervisor = "qemu"\nimage = "/srv/image"\nmemory = "1T"\nhuge_pages = true\n' | write huge
image /srv/image
mkfifo /srv/fifo
systemctl daemon-reload

refused nosuch 'no VM is named nosuch; there are: bad, fifo, huge, nocrosvm, noimage, nokernel, noprogram, twin1, twin2'
refused bad '/etc/vmsilo/bad.toml:2:1: unknown key "memroy"' 'did you mean "memory"?'
refused noimage 'VM "noimage" cannot start' '"/var/lib/vmsilo/images/default/vmlinuz" is not there'
refused nokernel 'VM "nokernel" cannot start' 'its kernel "/srv/image/none" is not there'
refused fifo 'its kernel "/srv/fifo" is neither a regular file nor a block device'
refused huge 'its memory takes 524288 huge pages of 2 MiB' 'free: sysctl vm.nr_hugepages='
refused nocrosvm 'it needs the program "crosvm", which the package crosvm brings'
refused twin1 '/etc/vmsilo/twin1.toml:1:6: id 9 is also that of twin2'

# A program that is not installed, each in its turn.
for program in /usr/bin/qemu-system-x86_64 /usr/libexec/virtiofsd /usr/bin/vhost-device-vsock /usr/bin/qemu-img; do
  [[ ! -e $program ]] || mv "$program" "$program.away"
  name=${program#/usr/bin/}
  refused noprogram 'VM "noprogram" cannot start' "it needs the program \"$name\", which the package"
  [[ ! -e $program.away ]] || mv "$program.away" "$program"
done

# A VM whose dependency does not start; its own parts may be on their way by then.
printf 'id = 30\nhypervisor = "qemu"\nimage = "/srv/image"\ndepends_on = ["noimage"]\n' | write client
systemctl daemon-reload
if [[ -e /usr/libexec/virtiofsd ]]; then
  refused client 'Dependency failed for vmsilo@client.service'
fi
check "the dependency says why" holds "$(why vmsilo@noimage)" '"/var/lib/vmsilo/images/default/vmlinuz" is not there'

# Homes that cannot be made.
printf 'id = 20\nhypervisor = "qemu"\nimage = "/srv/image"\nshared_home = "/nowhere/x"\n' | write noparent
printf 'id = 21\nhypervisor = "qemu"\nimage = "/srv/image"\nshared_home = "/srv/link"\n' | write linked
printf 'id = 22\nhypervisor = "qemu"\nimage = "/srv/image"\nuser = "nobody-here"\n' | write nouser
ln -s /etc /srv/link
systemctl daemon-reload
if [[ -e /usr/libexec/virtiofsd ]]; then
  refused noparent 'making the shared home "/nowhere/x": "/nowhere" is not there' 'hint: make it first'
  refused linked 'making the shared home "/srv/link": it is a symbolic link'
  refused nouser 'no user has the name or uid "nobody-here"'
fi

# Files of the VM that are none, or that the VM's user may not open. A FIFO would hold up whoever opens it.
mkdir /srv/files
ln -s /srv/fifo /srv/files/to-fifo
ln -s /etc/shadow /srv/files/to-shadow
mkdir --mode=700 /srv/files/closed
cp /srv/image/initrd /srv/files/closed/
printf 'id = 11\nhypervisor = "qemu"\nimage = "/srv/image"\nkernel = "/srv/files"\ninitrd = "/dev/zero"\nroot = "/srv/files/to-fifo"\n' | write nofiles
printf 'id = 12\nhypervisor = "qemu"\nimage = "/srv/image"\nkernel = "/srv/files/to-shadow"\nshared_home = false\n' | write shadow
mkdir --mode=755 /tmp/of-alice
cp /srv/image/vmlinuz /tmp/of-alice/
chown alice /tmp/of-alice
printf 'id = 18\nhypervisor = "qemu"\nimage = "/srv/image"\nkernel = "/tmp/of-alice/vmlinuz"\n' | write alices
printf 'id = 19\nhypervisor = "qemu"\nimage = "/srv/image"\nroot = "/run/vmsilo/full/ephemeral.qcow2"\n' | write others
printf 'id = 31\nhypervisor = "qemu"\nimage = "/srv/image"\nkernel = "/run/image/vmlinuz"\n' | write nothere
printf 'id = 13\nhypervisor = "qemu"\nimage = "/srv/image"\ninitrd = "/srv/files/closed/initrd"\nshared_home = false\n' | write closed
systemctl daemon-reload
refused nofiles 'its kernel "/srv/files" is neither a regular file nor a block device' 'its initrd "/dev/zero" is neither' \
  'its root "/srv/files/to-fifo" is neither'
refused alices 'its kernel "/tmp/of-alice/vmlinuz" is in "/tmp/of-alice", which has to be root'"'"'s own'
refused others '"/run/vmsilo/full/ephemeral.qcow2" is among what each VM has for itself'
refused nothere 'its kernel "/run/image/vmlinuz" is not there'
# All parts of these come up first, and go.
limit=9
if [[ -e /usr/libexec/virtiofsd ]]; then
  refused shadow 'its kernel "/srv/files/to-shadow" cannot be opened: permission denied' 'hint: the VM runs as uid 70012'
  # By root the file is seen.
  chmod 711 /srv/files/closed
  chmod 600 /srv/files/closed/initrd
  refused closed 'its initrd "/srv/files/closed/initrd" cannot be opened: permission denied' 'hint: the VM runs as uid 70013'
fi

# Disks with the header of another format, which a VMM that probes would believe.
qcow2_over() {
  # Version 3, with a backing file of 11 bytes at 0x200.
  { printf 'QFI\373\0\0\0\003\0\0\0\0\0\0\002\0\0\0\0\013'; head --bytes=492 /dev/zero; printf '/etc/shadow'; } |
    dd of="$1" conv=notrunc status=none
}
# A folder that is not empty, and that its owner may not enter.
closed_folder() {
  # shellcheck disable=SC2016 # for sh
  setpriv --reuid=70015 --regid=70015 --clear-groups sh -c 'mkdir -p "$0/x/y" && chmod 0 "$0/x" "$0"' "$1"
}
printf 'id = 14\nhypervisor = "qemu"\nimage = "/srv/image"\nroot = "/srv/files/root"\n[network.interfaces.lan0]\n' | write raw-qemu
printf 'id = 17\nimage = "/srv/image"\nroot = "/srv/files/root"\nshared_home = false\n' | write raw-crosvm
truncate --size=1M /srv/files/root
qcow2_over /srv/files/root
tiny_image /srv/tiny
printf 'id = 15\nhypervisor = "qemu"\nimage = "/srv/tiny"\nshared_home = false\n' | write planted
systemctl daemon-reload
if [[ -e /usr/libexec/virtiofsd ]]; then
  refused raw-qemu 'its root "/srv/files/root" is to be raw, and has the header of qcow2' 'hint: the VM may have written it'
  ln -s /usr/bin/true /usr/local/bin/crosvm
  refused raw-crosvm 'its root "/srv/files/root" is to be raw, and has the header of qcow2'
  rm /usr/local/bin/crosvm
  # What a VMM that its guest has taken over could leave: each start has a new disk in its place.
  planted=/var/lib/vmsilo/planted/ephemeral.qcow2
  for plant in 'ln -sf /etc/passwd' 'qcow2_over' 'closed_folder'; do
    install --directory --owner=70015 --group=70015 /var/lib/vmsilo/planted
    $plant "$planted"
    systemctl start --no-block vmsilo@planted
    # shellcheck disable=SC2016 # for eval
    check "$plant: the VM has another disk" becomes /fd/ eval 'find /proc/[0-9]*/fd -lname "$planted" 2>/dev/null'
    check "which is a file, and all of it" same "regular file 0000000000000000" \
      "$(stat --format=%F "$planted") $(od --address-radix=n --format=x1 --skip-bytes=8 --read-bytes=8 "$planted" | tr -d ' ')"
    systemctl stop vmsilo@planted
  done
  check "what a link led to is there" test -s /etc/passwd
fi

# A device that is not there; tests/scenarios/passthrough.sh has those that are.
printf 'id = 34\nhypervisor = "qemu"\nimage = "/srv/image"\nshared_home = false\npci_devices = ["ff:1f.7"]\n' | write nodevice
systemctl daemon-reload
if [[ -e /usr/libexec/virtiofsd ]]; then
  refused nodevice 'PCI device "0000:ff:1f.7" is not there' 'hint: lspci -D prints those that are'
fi

# No room for the ephemeral disk.
printf 'id = 16\nhypervisor = "qemu"\nimage = "/srv/image"\n' | write full
systemctl daemon-reload
if [[ -e /usr/libexec/virtiofsd ]]; then
  mount --types tmpfs --options size=64k none /var/lib/vmsilo
  refused full 'creating disk "/var/lib/vmsilo/full/ephemeral.qcow2"'
  check "vmsilo why shows why" holds "$(vmsilo why full)" 'creating disk "/var/lib/vmsilo/full/ephemeral.qcow2"' 'No space left on device'
  check "and no part of the disk stays" same "" "$(ls -A /var/lib/vmsilo/full)"
  umount /var/lib/vmsilo
fi

# Many of one user who ask for a VM that takes long: they leave room for others.
printf 'id = 32\nhypervisor = "qemu"\nimage = "/nowhere"\nuser = "alice"\n' | write slow
mkdir --parents /run/systemd/system/vmsilo-user@slow.service.d
printf "[Service]\nExecStartPre=sh -c 'until test -e /srv/go; do sleep 0.2; done'\n" >/run/systemd/system/vmsilo-user@slow.service.d/slow.conf
systemctl daemon-reload

# ask UID VM asks for a VM as that user, and prints what is answered.
ask() {
  echo "$2" | setpriv --reuid="$1" --regid="$1" --clear-groups socat -t 300 - UNIX-CONNECT:/run/vmsilo.demand
}

for n in {1..80}; do { ask 1000 slow >"/root/asked-$n" 2>&1; touch "/root/gone-$n"; } & done
check "16 of 80 are dropped" becomes '^16$' eval 'find /root -name "gone-*" | wc --lines'
runuser --user=alice -- vmsilo run slow true >/root/waited 2>&1 &
check "another user is served" holds "$(ask 0 noimage)" 'VM "noimage" could not be started'
# As long as a host is asked that serves nobody, and a little longer.
sleep 15
touch /srv/go
wait
check "64 are answered" same 64 "$(cat /root/asked-* | grep --count '^VM "slow" could not be started')"
check "who was dropped has waited with them" holds "$(cat /root/waited)" 'VM "slow" could not be started' 'vmsilo-user@slow.service failed'
check "and nobody has had it started again" same 1 "$(journalctl --boot --unit=vmsilo-user@slow --output=cat --grep='^Starting' | wc --lines)"
check "nothing is left of slow" nothing_left slow

# Autostart, and who may start.
printf 'id = 10\nhypervisor = "qemu"\nautostart = true\n' | write auto
systemctl daemon-reload
check "the boot wants the VMs with autostart" holds "$(systemctl show --property=Wants --value multi-user.target)" vmsilo.target
check "these are its own" same vmsilo@auto.service "$(systemctl show --property=Wants --value vmsilo.target)"
boot=$(systemctl show --property=After --value multi-user.target)
check "the boot waits for services" holds "$boot" basic.target
check "but not for these" fails holds "$boot" vmsilo
check "nor does their target" fails holds "$(systemctl show --property=After vmsilo.target) After=" vmsilo@

usermod --append --groups vmsilo alice
check "a member of group vmsilo may start a VM" holds \
  "$(runuser --user=alice -- systemctl --no-ask-password start vmsilo@noimage 2>&1)" 'A dependency job for vmsilo@noimage.service failed'
check "and stop it" runuser --user=alice -- systemctl --no-ask-password stop vmsilo@noimage
check "but no part of it" fails runuser --user=alice -- systemctl --no-ask-password start vmsilo-user@noimage
check "but nothing else" fails runuser --user=alice -- systemctl --no-ask-password stop systemd-logind.service
# A unit of their own under a VM's name would be root's.
check "nor make such a unit" fails runuser --user=alice -- systemd-run --no-ask-password --unit=vmsilo@own.service true
check "nor change a VM's" fails runuser --user=alice -- systemctl --no-ask-password set-property vmsilo@noimage.service TasksMax=9
check "nor send it a signal" fails runuser --user=alice -- systemctl --no-ask-password kill vmsilo@noimage.service
check "who is no member may not" grep --quiet -E 'authentication required|Access denied' \
  <(runuser --user=bob -- systemctl --no-ask-password start vmsilo@noimage 2>&1)

check "the errors of all files are printed together" holds "$("$(find /usr/lib/systemd/system-generators -name vmsilo-generator)" --check 2>&1)" \
  bad.toml:2:1 twin1.toml:1:6 twin2.toml:1:6
for unit in vmsilo-down@noimage vmsilo-lost@noimage; do
  check "$unit is not in the slice of the VM that it stops" same vmsilo.slice "$(systemctl show --property=Slice --value "$unit.service")"
  check "nor has it the VM's environment" same '' "$(systemctl show --property=Environment --value "$unit.service")"
done
check "a part is" same vmsilo-noimage.slice "$(systemctl show --property=Slice --value vmsilo-disk@noimage.service)"
check "a part of a VM that is configured stays among the failed units" systemctl --quiet is-failed vmsilo-user@noimage.service
check "no command line names a variable that is not set" fails grep 'unset environment variable' <(journalctl --boot --output=cat)
check "one name that was mistyped is not among the failed units" \
  fails systemctl --quiet is-failed vmsilo-user@nosuch.service
finish
