#!/bin/bash
# A guest that boots and never says that it is ready has not started.
# files: mute-guest/*.toml
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

before=$EPOCHSECONDS
systemctl start vmsilo@mute &
for _ in {1..3}; do
  up=$(guest mute 'systemctl is-active multi-user.target') && break
done
check "the guest is up, $((EPOCHSECONDS - before)) s after the start" same active "$up"
check "the VM is not" same activating "$(systemctl is-active vmsilo@mute)"
wait $!
status=$?
took=$((EPOCHSECONDS - before))
check "the start fails" test "$status" -ne 0
check "it fails after start_timeout (100 s), not before: $took s" test "$took" -ge 99
check "and soon after that" test "$took" -le 115
journal=$(journalctl --boot --unit=vmsilo@mute --output=cat)
check "the journal says what was missing" holds "$journal" "waiting for the guest to say READY=1: not there in time"
check "the unit says that the time was up" same timeout "$(systemctl show --property=Result --value vmsilo@mute)"
check "nothing is left" nothing_left
finish
