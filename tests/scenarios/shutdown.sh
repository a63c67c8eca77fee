#!/bin/bash
# The host shuts down while VMs run: each ends before the one that it depends on, as it does otherwise, and leaves nothing.
# files: shutdown/*.toml
# Functions that check calls.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# of [UNIT] prints what the journal has of the boot before, and of a unit in it.
of() { journalctl --quiet --boot=-1 --output=cat ${1:+--unit="$1"}; }

if [[ ${1:-} != again ]]; then
  tiny_image /srv/deaf deaf
  # The boot must not clean up what the shutdown has left.
  sed '/^r!/d' /usr/lib/tmpfiles.d/vmsilo.conf >/etc/tmpfiles.d/vmsilo.conf
  systemctl start --no-block vmsilo@client
  check "what the client needs starts" systemctl start vmsilo@real
  check "the client says that it is up" ready client
  check "it is" systemctl start vmsilo@client
  check "the guest writes to its home" guest real 'echo word >/home/user/word'
  [[ $failures -eq 0 ]] || finish
  exit 76
fi
check "first the client, then what it needs, then the share of that" in_order "$(of)" \
  "Stopping vmsilo@client.service" "Stopped vmsilo@client.service" "Stopping vmsilo@real.service" "Stopped vmsilo@real.service" \
  "Closed vmsilo-share@real:home.socket" "Stopped vmsilo-user@real.service"
check "the client's VMM was told to quit, as it is deaf" in_order "$(of vmsilo@client)" "pressing the power button: the VM goes on after " \
  "Deactivated successfully"
check "the other guest has powered off by itself" fails grep -E 'asking the guest|power button|to quit' <(of vmsilo@real)
check "to its end" holds "$(of vmsilo@real)" "Power down" "Deactivated successfully"
check "nothing had to be killed, and nothing has failed" fails grep -E 'SIGKILL|had to be killed|timed out|Failed with result' <(of 'vmsilo*')
check "no helper has an error" fails grep -E '^vmsilo-[a-z]+: error: ' <(of)
check "what the guest wrote is there" same word "$(cat /shared/real/word)"
check "nothing is left" nothing_left
check "nothing is left on the disk" same '' "$(find /var/lib/vmsilo -name 'ephemeral*')"
finish
