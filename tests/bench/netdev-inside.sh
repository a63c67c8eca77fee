#!/bin/bash
# Run by tests/bench/netdev on the host that it boots. Prints medians in ms; of units, as systemd has their times.
set -euo pipefail
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

runs=31 many=100
tiny_image /srv/tiny
for ((vm = 1; vm <= many; vm++)); do
  printf 'id = %d\nhypervisor = "qemu"\nimage = "/srv/tiny"\nuser = "alice"\nnetwork.interfaces.wan.nat = true\n' $((vm + 2)) >"/etc/vmsilo/vm$vm.toml"
done
systemctl daemon-reload
ip link add eth9 type veth peer name peer
ip address add 198.51.100.2/24 dev eth9
ip link set eth9 up

now() { echo "${EPOCHREALTIME/./}"; }

# took COMMAND… prints how many µs it takes.
took() {
  local start
  start=$(now)
  "$@" >&2
  echo $(($(now) - start))
}

# unit_took UNIT prints how many µs its last start took.
unit_took() {
  systemctl show --property=InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic "$1" |
    awk -F = '{ at[$1] = $2 } END { print at["ActiveEnterTimestampMonotonic"] - at["InactiveExitTimestampMonotonic"] }'
}

# unit_used UNIT prints how many µs of processor time that took: what the machine does beside counts less there.
unit_used() { echo $(($(systemctl show --property=CPUUsageNSec --value "$1") / 1000)); }

# by_hand makes and removes the same without a filter.
by_hand() {
  ip tuntap add hand mode tap user alice
  ip address add 10.199.0.0/31 dev hand
  ip link set hand up
  ip link delete hand
}

# netdev VERB ARGUMENT… is the program that the unit runs, as the same user: the records are its own.
netdev() {
  setpriv --reuid=vmsilo_netdev --regid=vmsilo_netdev --clear-groups --inh-caps=+net_admin --ambient-caps=+net_admin \
    /usr/libexec/vmsilo/vmsilo-netdev "$@" /run/vmsilo/.netdev/hand:wan
}

median() { sort --numeric-sort | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] / 1000 }'; }

# What all of them need is there; this one holds it.
systemctl start "vmsilo-netdev@vm$many:wan"
unit=vmsilo-netdev@vm1:wan.service
systemctl start "$unit"
systemctl stop "$unit"
for ((run = 0; run < runs; run++)); do
  systemctl start "$unit"
  unit_took "$unit" >>/run/start
  unit_used "$unit" >>/run/start-cpu
  took systemctl stop "$unit" >>/run/stop
  took netdev add --tap=hand-22 --owner=70999 --mac=52:00:00:00:00:01 --nat=true --host-address=10.199.0.0/31,fd99::/127 \
    --addresses=10.199.0.1/31,fd99::1/127 >>/run/add 2>/dev/null
  took netdev remove >>/run/remove
  took by_hand >>/run/hand
done
echo "$(nproc) CPUs, Linux $(uname -r), $(systemctl --version | head -n 1); load: $(cut -d ' ' -f 1-3 /proc/loadavg); medians of $runs runs, ms"
for what in start start-cpu stop add remove hand; do printf '%-10s %7.1f\n' "$what" "$(median <"/run/$what")"; done

units=$(seq -f 'vmsilo-netdev@vm%g:wan.service' "$many")
# shellcheck disable=SC2086 # one word each
{
  started=$(took systemctl start $units)
  there=$(find /sys/class/net -name 'vm*-22' | wc -l)
  filtered=$(nft list tables | grep --count 'netdev vmsilo-')
  stopped=$(took systemctl stop $units)
}
printf '%d at once: started in %.1f s, %d TAPs, %d filters; stopped in %.1f s, %s failed, %s left\n' "$many" \
  "$((started / 100000))e-1" "$there" "$filtered" "$((stopped / 100000))e-1" \
  "$(systemctl list-units --failed --plain --no-legend 'vmsilo*' | wc --lines)" \
  "$({ find /sys/class/net -name 'vm*-22' && nft list tables; } | wc --lines)"
