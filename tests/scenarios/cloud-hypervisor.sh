#!/bin/bash
# cloud-hypervisor for real: its devices, its filter of system calls inside of the unit's sandbox, its console, and each of
# its ends. The guest is a few instructions, to which its power button is too much.
# host: --no-image --release=desktop --program=cloud-hypervisor
# files: vmms/*.toml cloud-hypervisor/*.toml
# Functions that check calls.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# filtered tells whether each thread of the VMM makes only the system calls of its filter.
filtered() {
  local thread
  for thread in "/proc/$(vmm_of many)/task"/*; do
    holds "$(cat "$thread/status")" $'Seccomp:\t2' $'NoNewPrivs:\t1' $'CapEff:\t0000000000000000' || return 1
  done
}

# api VM METHOD ENDPOINT asks the VMM for something, and prints its answer, for which it has a second.
api() {
  { printf '%s /api/v1/%s HTTP/1.1\r\n\r\n' "$2" "$3" && sleep 1; } |
    timeout 10 socat - "UNIX-CONNECT:/run/vmsilo/$1/vmm/cloud-hypervisor.sock"
}

# terminal prints what the VMM says is the console of many.
terminal() { api many GET vm.info | grep --only-matching '"file":"/dev/pts/[0-9]*"' | cut -d '"' -f 4; }

tiny_host
printf 'id = 9\nmemory = "128M"\nimage = "/srv/image"\nshared_home = false\nhypervisor_args = ["--nonsense"]\nhypervisor = "cloud-hypervisor"\n' >/etc/vmsilo/odd.toml
systemctl daemon-reload

echo "what keeps it from starting"
needs_kvm cloud-hypervisor
not_started odd "unexpected argument '--nonsense'"
rm /etc/vmsilo/odd.toml
systemctl daemon-reload

echo "devices"
check "it starts" tiny_start many
check "each is where it is to be" same "02.0 disk,03.0 disk,04.0 fs,05.0 vsock,06.0 rng,07.0 fs,08.0 fs,10.0 net,11.0 net,1f.0 console" \
  "$(tiny_devices many | paste -sd,)"
check "so is the sound device" holds "$(api many GET vm.info)" '"0001:00:03.0"'
check "so is the one for panics" grep --quiet --line-regexp '01.0 00111b36' <(log_of many many-guest)
check "it is the VM's own user's" same vmsilo-many "$(ps --format=user:32= --ppid "$(helper_of many)" | sort -u)"
check "each thread has a filter" filtered

echo "the control socket"
check "answers" holds "$(api many GET vmm.ping)" '200' '"features":'
check "knows the VM" holds "$(api many GET vm.info)" '"state":"Running"' '"serial":"vmsilo-overlay"' '"shared":true'
check "pauses" runuser --user=alice -- vmsilo pause many
check "which it says" holds "$(api many GET vm.info)" '"state":"Paused"'
check "and the list" becomes '^paused$' listed many
check "goes on" vmsilo resume many
check "which it says, too" holds "$(api many GET vm.info)" '"state":"Running"'
check "one that goes on cannot" holds "$(vmsilo resume many 2>&1)" 'VM "many": asking cloud-hypervisor for vm.resume: '
check "a balloon" vmsilo balloon many 16M
check "is set" holds "$(api many GET vm.info)" '"size":16777216,"deflate_on_oom":true,"free_page_reporting":true'
check "a disk is not grown" holds "$(vmsilo resize many data 1G 2>&1)" "a VM of cloud-hypervisor has no disks in its file"

echo "the console"
check "is a terminal that the helper has open" test "$(find "/proc/$(helper_of many)/fd" -lname "$(terminal)")"
check "where a client is let in" type_on many xyz
check "and the next one" type_on many xyz
check "it is the VM's own user's" same vmsilo-many "$(stat --format=%U "$(terminal)")"

echo "its ends"
check "a reboot is a new start, with another disk" renews many api many PUT vm.reboot
vmsilo pause many
check "paused, it is told to end" systemctl stop vmsilo@many
check "when the power button was in vain" holds "$(log_of many vmsilo-stop)" "pressing the power button: the VM goes on"
check "and does" fails grep --quiet 'quit\|killed' <(log_of many vmsilo-stop)
check "as a success" same success "$(systemctl show --property=Result --value vmsilo@many)"
check "nothing is left" nothing_left many
for victim in helper_of vmm_of; do
  check "it starts again" tiny_start many
  check "it ends with the process of $victim" ends_with many "$($victim many | head -n 1)"
done

echo "as many devices as a VM has"
check "it starts" tiny_start full
check "each is where it is to be" same "$(
  printf '%s disk\n' 02.0 03.0 && printf '04.0 fs\n05.0 vsock\n06.0 rng\n' && printf '%s fs\n' 0{7..9}.0 0{a..f}.0 &&
    printf '%s net\n' 1{0..9}.0 1{a..e}.0 && printf '1f.0 console\n'
)" "$(tiny_devices full)"
check "some in segments of their own" holds "$(api full GET vm.info)" '"0001:00:04.0"' '"0007:00:04.0"'
check "it stops" systemctl stop vmsilo@full
check "nothing is left" nothing_left
finish
