#!/bin/bash
# crosvm for real: its devices, its sandbox inside of the unit's, its console, and each of its ends. The guest is a few
# instructions.
# host: --no-image --release=desktop --program=crosvm
# files: vmms/*.toml crosvm/*.toml
# Functions that check calls.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# of_devices VM prints the PIDs of crosvm's children: each is a device.
of_devices() { pgrep --parent "$(vmm_of "$1")"; }

# apart VM tells whether each device has its own namespaces, sees an empty root, and makes only the system calls of its filter.
apart() {
  local pid helper
  helper=$(helper_of "$1")
  for pid in $(of_devices "$1"); do
    ! cmp --silent <(readlink "/proc/$pid/ns/user") <(readlink "/proc/$helper/ns/user") || { echo "$pid: user namespace" && return 1; }
    ! cmp --silent <(readlink "/proc/$pid/ns/mnt") <(readlink "/proc/$helper/ns/mnt") || { echo "$pid: mount namespace" && return 1; }
    ! cmp --silent <(readlink "/proc/$pid/ns/net") <(readlink "/proc/$helper/ns/net") || { echo "$pid: network" && return 1; }
    holds "$(cat "/proc/$pid/status")" $'Seccomp:\t2' $'NoNewPrivs:\t1' $'CapEff:\t0000000000000000' || return 1
    [[ -z $(find "/proc/$pid/root/" -type f -path '*/etc/*' 2>/dev/null | head -n 1) ]] || { echo "$pid: sees files" && return 1; }
    [[ ! -e /proc/$pid/root/run/vmsilo ]] || { echo "$pid: sees sockets" && return 1; }
  done
}

# holder VM FILE prints how a device has the file open: 0 to read, 2 to read and write. No two have it.
holder() {
  local fd pid
  for pid in $(of_devices "$1"); do
    for fd in "/proc/$pid/fd"/*; do
      [[ $(readlink "$fd") != "$2" ]] || sed -n 's/^flags:.*\(.\)$/\1/p' "/proc/$pid/fdinfo/${fd##*/}"
    done
  done
}

# fill_full gives it ten disks and a GPU.
fill_full() {
  local n
  for n in {0..9}; do
    echo "disks.d$n = { path = \"/srv/d$n.img\" }" && truncate --size=1M "/srv/d$n.img"
  done >>/etc/vmsilo/full.toml
  echo "gpu = true" >>/etc/vmsilo/full.toml
}

fill_full
tiny_host
printf 'id = 9\nmemory = "128M"\nimage = "/srv/image"\nshared_home = false\nhypervisor_args = ["--nonsense"]\n' >/etc/vmsilo/odd.toml
systemctl daemon-reload

echo "what keeps it from starting"
needs_kvm crosvm
not_started odd "--nonsense"
rm /etc/vmsilo/odd.toml
systemctl daemon-reload

echo "devices"
check "it starts" tiny_start many
check "each is where it is to be" same "01.0 rng,02.0 disk,03.0 disk,03.1 sound,04.0 fs,05.0 vsock,06.0 balloon,07.0 fs,08.0 fs,10.0 net,11.0 net" \
  "$(tiny_devices many | paste -sd,)"
check "its processes are the VM's own user's" same vmsilo-many "$(ps --format=user:32= --ppid "$(helper_of many),$(vmm_of many)" | sort -u)"
check "and one for each device" test "$(of_devices many | wc --lines)" -ge 10
check "each in a sandbox of its own" apart many
check "the console carries both ways" same xyz "$(type_on many xyz)"
check "and the next client" same again-xyz "again-$(type_on many xyz)"

echo "the control socket"
check "pauses" runuser --user=alice -- vmsilo pause many
check "again" vmsilo pause many
check "the guest does not answer" same "" "$(type_on many a)"
check "the list says so" becomes '^paused$' listed many
check "so does why" holds "$(vmsilo why many)" "many is running since" "it is paused"
check "and goes on" vmsilo resume many
check "as if nothing had been" same b "$(type_on many b | tail --bytes=1)"
check "which the list says, too" becomes '^running$' listed many
vmsilo pause many
check "paused, it is killed" ends_with many "$(helper_of many)"
check "it starts again" tiny_start many
check "and the list does not say paused" becomes '^running$' listed many
check "a guest without a driver has no balloon" holds "$(vmsilo balloon many 16M 2>&1)" "the VM has no balloon, or its guest does not use it"
check "a disk is not grown" holds "$(vmsilo resize many data 1G 2>&1)" "crosvm cannot grow a disk safely"
check "somebody else may do nothing" holds "$(runuser --user=bob -- vmsilo pause many 2>&1)" 'VM "many" belongs to user alice'
usermod --append --groups vmsilo bob
check "but in the group" runuser --user=bob -- vmsilo resume many
gpasswd --delete bob vmsilo >/dev/null

echo "its ends"
check "a reboot is a new start, with another disk" renews many type_on many r
vmsilo pause many
check "the power button ends it, although it was paused" systemctl stop vmsilo@many
check "without more" fails grep --quiet 'power button\|quit\|killed' <(log_of many vmsilo-stop)
check "as a success" same success "$(systemctl show --property=Result --value vmsilo@many)"
check "nothing is left" nothing_left many
check "it starts again" tiny_start many
type_on many h >/dev/null
check "a guest that does not hear it is told to end" systemctl stop vmsilo@many
check "after a while" holds "$(log_of many vmsilo-stop)" "pressing the power button: the VM goes on"
check "as a success" same success "$(systemctl show --property=Result --value vmsilo@many)"
check "nothing is left" nothing_left many
check "it starts again" tiny_start many
check "it ends with a device" ends_with many "$(of_devices many | tail -n 1)"
check "it starts again" tiny_start many
check "it ends with its helper" ends_with many "$(helper_of many)"

echo "its sound is killed"
for part in sound pipewire; do
  for phase in starting running stopping; do
    what="vmsilo-$part@many killed while $phase"
    if [[ $phase == starting ]]; then
      systemctl start vmsilo@many 2>/dev/null &
      await test -S /run/vmsilo/many/vmm/crosvm.sock
    else
      check "$what: it starts" tiny_start many
    fi
    if [[ $phase == stopping ]]; then
      type_on many h >/dev/null
      systemctl stop --no-block vmsilo@many
    fi
    check "$what" systemctl kill --kill-whom=main --signal=KILL "vmsilo-$part@many.service"
    case $phase-$part in
    # crosvm is asking it what it can.
    starting-sound) wait $! ;;
    starting-*) ready many && wait $! && check "$what: the VM is up" systemctl is-active vmsilo@many ;;
    running-*) check "$what: the VM runs on" systemctl is-active vmsilo@many ;;
    esac
    check "$what: it stops" systemctl stop vmsilo-many.slice
    check "$what: nothing is left" nothing_left many
  done
done

echo "disks that the VM's user may not open"
install --directory --mode=700 --owner=alice --group=alice /home/alice/vm
truncate --size=8M /home/alice/vm/{archive,data}.img
qemu-img create -q -f qcow2 /home/alice/vm/grows.qcow2 64M
chown alice:alice /home/alice/vm/* && chmod 600 /home/alice/vm/*
check "it starts" tiny_start lent
check "each is where it is to be" same "02.0 02.1 02.2 02.3 03.0" "$(tiny_devices lent | sed -n 's/ disk$//p' | xargs)"
check "one is read" same 0 "$(holder lent /home/alice/vm/archive.img)"
check "the others are written" same "2 2" "$(holder lent /home/alice/vm/data.img) $(holder lent /home/alice/vm/grows.qcow2)"
check "each in a sandbox of its own" apart lent
check "it stops" systemctl stop vmsilo@lent
check "nothing is left" nothing_left lent

echo "as many devices as a VM has"
# crosvm lets its GPU open 32768 files, and ends where the host does not.
sandboxed=1
if [[ $(ulimit -H -n) -lt 32768 ]]; then
  echo "this machine lets nobody open 32768 files: no sandbox for devices here"
  sandboxed='' && echo 'hypervisor_args = ["--disable-sandbox"]' >>/etc/vmsilo/full.toml && systemctl daemon-reload
fi
check "it starts, without a compositor" tiny_start full
check "each is where it is to be" same "$(
  printf '01.0 rng\n02.0 disk\n' && printf '02.%s disk\n' {1..7} && printf '03.0 disk\n' && printf '04.%s fs\n' {0..7} &&
    printf '05.0 vsock\n' && printf '05.%s disk\n' {1..3} && printf '05.7 gpu\n06.0 balloon\n' &&
    printf '%s fs\n' 0{7..9}.0 0{a..f}.0 && printf '%s net\n' 1{0..9}.0 1{a..e}.0
)" "$(tiny_devices full)"
check "nobody waits for one" same "" "$(ss --no-header --unix --processes state established src '*wayland.sock')"
[[ -z $sandboxed ]] || check "the GPU is in a sandbox of its own, too" apart full
check "it stops" systemctl stop vmsilo@full
check "nothing is left" nothing_left
finish
