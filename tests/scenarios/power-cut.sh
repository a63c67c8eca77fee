#!/bin/bash
# The power fails: while a VM starts, while it runs, and while it stops. What the boot finds on the disk is no VM's.
# host: --no-image --release=trixie
# files: power-cut/*.toml
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

phases=(starting running stopping)

# cut brings the VM into the next phase, and asks for the power to be cut.
cut() {
  local phase=${phases[$(cat /root/cuts)]}
  systemctl start vmsilo@victim &
  await test -S /run/vmsilo/victim/vmm/qmp.sock
  [[ $phase == starting ]] || ready victim
  [[ $phase == starting ]] || wait $!
  [[ $phase != stopping ]] || systemctl stop --no-block vmsilo@victim
  echo "cut while $phase: $(systemctl is-active vmsilo@victim), $(ls /var/lib/vmsilo/victim)"
  echo $(($(cat /root/cuts) + 1)) >/root/cuts
  exit 75
}

if [[ ${1:-} != again ]]; then
  tiny_image /srv/tiny deaf
  # As a VMM leaves it that its guest has taken over.
  mkdir --parents /var/lib/vmsilo/gone/ephemeral.qcow2/x
  echo 0 >/root/cuts
  cut
fi
what="after ${phases[$(cat /root/cuts) - 1]}"
check "$what: the disk was there" test -e /var/lib/vmsilo/victim
check "$what: nothing is left" nothing_left victim
check "$what: nor what was in the place of a disk" fails test -e /var/lib/vmsilo/gone/ephemeral.qcow2
check "$what: the VM does not run" same inactive "$(systemctl is-active vmsilo@victim)"
check "$what: no unit has failed" same '' "$(systemctl list-units --failed --plain --no-legend 'vmsilo*')"
[[ $failures -eq 0 ]] || finish
[[ $(cat /root/cuts) -eq ${#phases[@]} ]] || cut
systemctl start vmsilo@victim &
ready victim
wait $!
check "the next start" same "0 active" "$? $(systemctl is-active vmsilo@victim)"
systemctl stop vmsilo@victim
check "nothing is left of it" nothing_left victim
finish
