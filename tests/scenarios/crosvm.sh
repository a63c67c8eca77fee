#!/bin/bash
# crosvm for real: its devices, its sandbox inside of the unit's, its console, and each of its ends. The guest is a few
# instructions.
# host: --no-image --release=trixie --program=crosvm
# files: crosvm/*.toml
# Functions that check calls.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# main prints the PID of the helper that runs crosvm.
main() { systemctl show --property=MainPID --value vmsilo@many; }

# of_devices prints the PIDs of crosvm's children: each is a device.
of_devices() { pgrep --parent "$(pgrep --parent "$(main)")"; }

# type TEXT types it on the console of many, and prints what comes back within a second.
type() {
  { printf %s "$1" && sleep 1; } | timeout 10 socat - UNIX-CONNECT:/run/vmsilo/many/vmm/console.sock
}


# apart tells whether each device has its own namespaces, sees an empty root, and makes only the system calls of its filter.
apart() {
  local pid
  for pid in $(of_devices); do
    ! cmp --silent <(readlink "/proc/$pid/ns/user") <(readlink "/proc/$(main)/ns/user") || { echo "$pid: user namespace" && return 1; }
    ! cmp --silent <(readlink "/proc/$pid/ns/mnt") <(readlink "/proc/$(main)/ns/mnt") || { echo "$pid: mount namespace" && return 1; }
    ! cmp --silent <(readlink "/proc/$pid/ns/net") <(readlink "/proc/$(main)/ns/net") || { echo "$pid: network" && return 1; }
    holds "$(cat "/proc/$pid/status")" $'Seccomp:\t2' $'NoNewPrivs:\t1' $'CapEff:\t0000000000000000' || return 1
    [[ -z $(find "/proc/$pid/root/" -type f -path '*/etc/*' 2>/dev/null | head -n 1) ]] || { echo "$pid: sees files" && return 1; }
  done
}

another() { [[ $(main) != 0 && $(main) != "$1" && $(systemctl show --property=SubState --value vmsilo@many) == start-post ]]; }

mknod --mode=660 /dev/kvm c 10 232 && chgrp kvm /dev/kvm
tiny_image /srv/image
mkdir /srv/docs
systemctl daemon-reload

echo "devices"
check "it starts" tiny_start many
check "each is where it is to be" same "01 rng,02 disk,03 disk,04 fs,05 vsock,06 balloon,07 fs,08 fs,10 net,11 net" \
  "$(tiny_devices many | paste -sd,)"
check "its processes are the VM's own user's" same vmsilo-many "$(ps --format=user:32= --ppid "$(main),$(pgrep --parent "$(main)")" | sort -u)"
check "and one for each device" test "$(of_devices | wc --lines)" -ge 10
check "each in a sandbox of its own" apart
check "the console carries both ways" same xyz "$(type xyz)"
check "and the next client" same again-xyz "again-$(type xyz)"

echo "the control socket"
check "pauses" crosvm suspend /run/vmsilo/many/vmm/crosvm.sock
check "the guest does not answer" same "" "$(type a)"
check "and goes on" crosvm resume /run/vmsilo/many/vmm/crosvm.sock
check "as if nothing had been" same b "$(type b | tail --bytes=1)"

echo "its ends"
exec 5</var/lib/vmsilo/many/ephemeral.qcow2
vmm=$(main)
type r >/dev/null
check "a reboot is a new start" await another "$vmm"
check "which is up when the guest is" tiny_start many
check "with another disk" same 0 "$(stat --dereference --format=%h /dev/fd/5)"
exec 5<&-
check "the power button ends it" systemctl stop vmsilo@many
check "without more" fails grep --quiet 'power button\|quit\|killed' <(log_of many vmsilo-stop)
check "as a success" same success "$(systemctl show --property=Result --value vmsilo@many)"
check "nothing is left" nothing_left many
check "it starts again" tiny_start many
type h >/dev/null
check "a guest that does not hear it is told to end" systemctl stop vmsilo@many
check "after a while" holds "$(log_of many vmsilo-stop)" "pressing the power button: the VM goes on"
check "as a success" same success "$(systemctl show --property=Result --value vmsilo@many)"
check "nothing is left" nothing_left many
check "it starts again" tiny_start many
kill -KILL "$(of_devices | tail -n 1)"
check "a device that dies ends it" await fails systemctl --quiet is-active vmsilo@many
check "nothing is left" nothing_left many
check "it starts again" tiny_start many
kill -KILL "$(main)"
check "so does its helper" await fails systemctl --quiet is-active vmsilo@many
check "nothing is left" nothing_left many

echo "as many devices as a VM has"
check "it starts" tiny_start full
check "each is where it is to be" same "$(
  printf '%s rng\n' 01 && printf '%s disk\n' 02 03 && printf '04 fs\n05 vsock\n06 balloon\n' &&
    printf '%s fs\n' 0{7..9} 0{a..f} && printf '%s net\n' 1{0..9} 1{a..e}
)" "$(tiny_devices full)"
check "it stops" systemctl stop vmsilo@full
check "nothing is left" nothing_left
finish
