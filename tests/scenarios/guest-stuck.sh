#!/bin/bash
# Guests that do not get what they were told to have: no disk to write to, one that cannot be formatted, a share that
# nobody serves. None of them starts, none hangs, and the host's journal says why.
# files: guest-stuck/*.toml
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# rewire VM EXPRESSION changes the command line of the VMM by a drop-in, with sed.
rewire() {
  local line
  line=$(systemctl cat "vmsilo@$1" | grep '^ExecStart=' | tail -n 1)
  install --directory "/etc/systemd/system/vmsilo@$1.service.d"
  printf '[Service]\nExecStart=\n%s\n' "$(sed "$2" <<<"$line")" >"/etc/systemd/system/vmsilo@$1.service.d/90-rewired.conf"
}

# said VM prints what the host's journal has of it.
said() {
  journalctl --boot --unit="vmsilo@$1" --output=cat --all
}

rewire lost 's/serial=vmsilo-overlay/serial=elsewhere/'
rewire worn 's/\\"detect-zeroes\\":\\"unmap\\",\\"discard\\":\\"unmap\\"/\\"read-only\\":true/'
systemctl daemon-reload
systemctl start vmsilo@lost vmsilo@worn
for vm in lost worn; do
  check "$vm: failed" systemctl --quiet is-failed "vmsilo@$vm"
  check "$vm: before the host lost its patience" test "$(systemctl show --property=Result --value "vmsilo@$vm")" != timeout
  check "$vm: the host's journal says why" holds "$(said "$vm")" "this VM cannot boot: its root could not be set up"
  check "$vm: nothing else takes the writes" fails grep --quiet -e 'Switching root' -e tmpfs <(said "$vm")
done
check "lost: what is missing" holds "$(said lost)" 'vmsilo\x2doverlay.device'
check "worn: what failed" holds "$(said worn)" vmsilo-overlay-format.service

before=$EPOCHSECONDS
systemctl start vmsilo@alone &
for _ in {1..8}; do
  up=$(guest alone 'systemctl is-active multi-user.target' 2>/dev/null) && [[ $up != activating ]] && break
done
check "alone: the boot goes on without the share, $((EPOCHSECONDS - before)) s after the start" same active "$up"
check "alone: the guest knows" holds "$(guest alone 'systemctl --no-pager list-units --failed --plain --no-legend')" srv-alone.mount
check "alone: and the host" holds "$(said alone)" "Failed to mount srv-alone.mount" "Dependency failed for"
check "alone: it is not up" same activating "$(systemctl is-active vmsilo@alone)"
systemctl stop vmsilo@alone
wait
check "nothing is left" nothing_left
finish
