#!/bin/bash
# How VMs end: asked by the host, with and without their help, and by themselves.
# files: end/*.toml
# Functions that check calls.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# kernel CODE prints a kernel: the header of Linux's boot protocol, and this code behind it, which runs in real mode.
kernel() {
  zero() { head --bytes="$1" /dev/zero; }
  zero 497
  printf '\001' # setup_sects
  zero 12
  printf '\125\252\353\146HdrS\002\002' # at 510: the mark of a boot sector, jmp to 0x268, and the protocol's version
  zero 9
  printf '\001' # loadflags
  zero 86
  printf '%b' "$1"
  zero 1000
}

# says_ready VM waits for the VMM, and says READY=1 in the guest's place.
says_ready() {
  local try
  for try in {1..600}; do
    [[ ! -S /run/vmsilo/$1/vmm/qmp.sock ]] || break
    sleep 0.1
  done
  printf READY=1 | socat - "UNIX-CONNECT:/run/vmsilo/$1/vsock/host.sock_5001"
}

start_deaf() {
  systemctl start --no-block "vmsilo@$1"
  says_ready "$1"
  check "$1 is up" systemctl start "vmsilo@$1"
}

# of VM prints what the journal has of it, since the last time that this was asked for.
of() {
  journalctl --boot --unit="vmsilo@$1" --output=cat --cursor-file="/run/cursor-$1"
}

# pid_of VM prints the PID of its QEMU.
pid_of() {
  pgrep --parent "$(systemctl show --property=MainPID --value "vmsilo@$1")" qemu-system
}

# stop VM stops it, and leaves in $took how many milliseconds that took.
stop() {
  local before=${EPOCHREALTIME/./}
  systemctl stop "vmsilo@$1"
  took=$(((${EPOCHREALTIME/./} - before) / 1000))
}

# cli; hlt; jmp to the hlt.
kernel '\0372\0364\0353\0375' >/srv/deaf
# mov al, 0xfe; out 0x64, al, which resets the machine; hlt.
kernel '\0260\0376\0346\0144\0364' >/srv/loop
mkdir /srv/one /srv/two
for folder in /srv/one /srv/two; do cp /var/lib/vmsilo/images/default/* "$folder"; done
ln -s one /srv/image
truncate --size=1M /srv/disk

echo "a guest that hears nothing, while another one boots"
systemctl start --no-block vmsilo@real
start_deaf deaf
stop deaf
said=$(of deaf)
check "the steps are taken in turn" in_order "$said" "asking the guest to power off: nothing in the guest listens" \
  "pressing the power button: the VM goes on after " "Deactivated successfully"
# By vmsilo-stop's own clock: what follows takes longer on a busy machine.
check "the VMM is told to quit after three quarters of stop_timeout (8 s): $took ms" test "$took" -ge 6000
check "and no later" grep --extended-regexp '^pressing the power button: .* after (5\.|6[.s])' <<<"$said"
check "that is no failure" same success "$(systemctl show --property=Result --value vmsilo@deaf)"
check "nothing is left" nothing_left deaf

echo "a VMM that hangs"
start_deaf deaf
kill -STOP "$(pid_of deaf)"
stop deaf
said=$(of deaf)
check "all steps are taken" in_order "$said" "asking the guest to power off: " "pressing the power button: " "goes on after " \
  "telling the VMM to quit: " "goes on after " "the VM had to be killed after "
check "it is gone after seven eighths of stop_timeout (8 s): $took ms" test "$took" -ge 7000
check "and no later" grep 'the VM had to be killed after 7[.s]' <<<"$said"
check "it has failed" systemctl --quiet is-failed vmsilo@deaf
check "nothing is left" nothing_left deaf

echo "a guest that reboots for ever"
systemctl start --no-block vmsilo@loop
check "is started each time" becomes '^[3-9]$' starts_of loop
# What it could write to a raw disk of its own, here a disk of another's: the next start must not follow it.
printf 'QFI\373' | dd of=/srv/disk conv=notrunc status=none
check "until its disk is not what it was" becomes "^failed$" systemctl is-active vmsilo@loop
check "because of that" holds "$(of loop)" 'its root "/srv/disk" is to be raw, and has the header of qcow2'
check "nothing is left" nothing_left loop

echo "a reboot"
systemctl start vmsilo@real
check "the root can be written to" guest real 'touch /root/mark'
ln -sfn two /srv/image
guest real 'systemctl --no-block reboot'
check "is a new start" becomes '^2 active$' eval 'starts_of real; systemctl is-active vmsilo@real'
check "with the image that is there by now" same /srv/two/root.erofs "$(readlink /proc/"$(pid_of real)"/fd/* | grep root.erofs)"
check "and a fresh overlay" same "" "$(guest real 'ls /root')"

echo "a power-off"
guest real 'systemctl --no-block poweroff'
check "ends the VM" becomes '^inactive$' systemctl is-active vmsilo@real
check "with success" same "success 0 inactive" \
  "$(systemctl show --property=Result,ExecMainStatus,ActiveState --value vmsilo@real | xargs)"
check "nothing is left" nothing_left

echo "a panic"
systemctl start vmsilo@real
of real >/dev/null
starts=$(starts_of real)
guest real 'echo c >/proc/sysrq-trigger' &
check "ends the VM" becomes '^failed$' systemctl is-active vmsilo@real
kill $!
check "with a failure" same "exit-code 34 failed" \
  "$(systemctl show --property=Result,ExecMainStatus,ActiveState --value vmsilo@real | xargs)"
check "which is not tried again" same "$starts" "$(starts_of real)"
journalctl --sync
check "systemctl status says why" holds "$(systemctl status --no-pager --full vmsilo@real)" "error: the guest's kernel has panicked"
check "and the journal has its last words" holds "$(of real)" "Kernel panic - not syncing"
check "nothing is left" nothing_left
finish
