#!/bin/bash
# cloud-hypervisor for real: its devices, its filter of system calls inside of the unit's sandbox, and each of its ends. The
# guest is a few instructions, to which its power button is too much.
# host: --no-image --release=trixie --program=cloud-hypervisor
# files: cloud-hypervisor/*.toml
# Functions that check calls.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# main prints the PID of the helper that runs cloud-hypervisor.
main() { systemctl show --property=MainPID --value vmsilo@many; }

# filtered tells whether each thread of the VMM makes only the system calls of its filter.
filtered() {
  local thread
  for thread in "/proc/$(pgrep --parent "$(main)")/task"/*; do
    holds "$(cat "$thread/status")" $'Seccomp:\t2' $'NoNewPrivs:\t1' $'CapEff:\t0000000000000000' || return 1
  done
}

# api METHOD ENDPOINT asks the VMM of many for something, and prints its answer, for which it has a second.
api() {
  { printf '%s /api/v1/%s HTTP/1.1\r\n\r\n' "$1" "$2" && sleep 1; } |
    timeout 10 socat - UNIX-CONNECT:/run/vmsilo/many/vmm/cloud-hypervisor.sock
}

another() { [[ $(main) != 0 && $(main) != "$1" && $(systemctl show --property=SubState --value vmsilo@many) == start-post ]]; }

mknod --mode=660 /dev/kvm c 10 232 && chgrp kvm /dev/kvm
tiny_image /srv/image
mkdir /srv/docs
systemctl daemon-reload

echo "devices"
check "it starts" tiny_start many
check "each is where it is to be" same "02 disk,03 disk,04 fs,05 vsock,06 rng,07 fs,08 fs,10 net,11 net" \
  "$(tiny_devices many | paste -sd,)"
check "so is the one for panics" grep --quiet --line-regexp '01 00111b36' <(log_of many many-guest)
check "it is the VM's own user's" same vmsilo-many "$(ps --format=user:32= --ppid "$(main)")"
check "each thread has a filter" filtered

echo "the control socket"
check "answers" holds "$(api GET vmm.ping)" '200' '"features":'
check "knows the VM" holds "$(api GET vm.info)" '"state":"Running"' '"serial":"vmsilo-overlay"' '"shared":true'
check "pauses" holds "$(api PUT vm.pause; api GET vm.info)" '"state":"Paused"'
check "and goes on" holds "$(api PUT vm.resume; api GET vm.info)" '"state":"Running"'

echo "its ends"
exec 5</var/lib/vmsilo/many/ephemeral.qcow2
vmm=$(main)
api PUT vm.reboot >/dev/null
check "a reboot is a new start" await another "$vmm"
check "which is up when the guest is" tiny_start many
check "with another disk" same 0 "$(stat --dereference --format=%h /dev/fd/5)"
exec 5<&-
check "it is told to end" systemctl stop vmsilo@many
check "when the power button was in vain" holds "$(log_of many vmsilo-stop)" "pressing the power button: the VM goes on"
check "and does" fails grep --quiet 'quit\|killed' <(log_of many vmsilo-stop)
check "as a success" same success "$(systemctl show --property=Result --value vmsilo@many)"
check "nothing is left" nothing_left many
for victim in main "pgrep --parent \$(main)"; do
  check "it starts again" tiny_start many
  kill -KILL "$(eval "$victim")"
  check "killed, it ends" await fails systemctl --quiet is-active vmsilo@many
  check "nothing is left" nothing_left many
done

echo "as many devices as a VM has"
check "it starts" tiny_start full
check "each is where it is to be" same "$(
  printf '%s disk\n' 02 03 && printf '04 fs\n05 vsock\n06 rng\n' && printf '%s fs\n' 0{7..9} 0{a..f} &&
    printf '%s net\n' 1{0..9} 1{a..e}
)" "$(tiny_devices full)"
check "it stops" systemctl stop vmsilo@full
check "nothing is left" nothing_left
finish
