#!/bin/bash
# A hundred starts and stops, of four VMs at a time, leave nothing: no file, no descriptor, no unit, no memory of PID 1.
# A file named cycles that holds 125 makes them five hundred, which take some minutes of both processors:
# echo 125 >/tmp/cycles && tests/host --no-image --release=trixie run tests/scenarios/cycles.sh /tmp/cycles
# host: --no-image --release=trixie
# Some functions are called by name.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

vms=4 cycles=$(cat /etc/vmsilo/cycles 2>/dev/null || echo 25)

# count WHEN prints what must not grow, and leaves what that is in /root/WHEN-….
count() {
  # What systemd keeps for a moment is not counted.
  await quiet
  systemctl list-units --all --plain --no-legend 'vmsilo*' | counted "$1" units
  find /proc/1/fd -mindepth 1 -printf '%l\n' | counted "$1" descriptors
  # systemd leaves an empty folder behind of a process that is killed while it gets its namespaces.
  find /run /var/lib/vmsilo /tmp /etc /dev/shm -xdev -not -path '/run/log/*' -not -path '/run/systemd/namespace-*' -not -path '/run/systemd/journal/*' | counted "$1" files
  find /sys/fs/cgroup -type d | counted "$1" cgroups
  counted "$1" mounts </proc/self/mountinfo
  # This script's own, in its scope, are more or less.
  ps --no-headers --format=args= --pid "$(find /sys/fs/cgroup -name cgroup.procs -not -path '*/run-*.scope/*' -exec cat {} + |
    paste --serial --delimiters=,)" 2>/dev/null | counted "$1" processes
  find /sys/class/net -mindepth 1 | counted "$1" interfaces
}

# counted WHEN WHAT prints how many lines there are.
counted() { echo "$2 $(sort | tee "/root/$1-$2" | grep --count .)"; }

# settled tells whether as much is there as before. Others of the machine keep files of their own for a moment; what is
# lost stays.
settled() { [[ $(count after) == "$before" ]]; }

# alone ends machined, which may have been told of a VM or not, and leaves half a minute later.
alone() { systemctl start systemd-machined && systemctl stop systemd-machined.service machine.slice; }

# quiet tells whether PID 1 has nothing to do.
quiet() { [[ -z $(systemctl list-jobs --no-legend 2>/dev/null) ]]; }

# memory prints how many KiB PID 1 uses, once it has let go of what is over. What it has grows for longer, and says nothing:
# between what is in use glibc keeps what is free.
memory() {
  for _ in {1..8}; do
    sleep 1
    systemd-analyze malloc
  done | awk -F '"' '
    /<total type="rest"/ { free = $6 }
    /<system type="current"/ { all = $4 }
    /<\/malloc>/ { used = all - free; if (!least || used < least) least = used }
    END { print int(least / 1024) }'
}

# cycle VM COUNT starts and stops a VM so often, and tells of what goes wrong.
cycle() {
  local n starting
  for ((n = 1; n <= $2; n++)); do
    systemctl start "vmsilo@$1" &
    starting=$!
    ready "$1" || echo "$1, cycle $n: never there"
    wait "$starting" || echo "$1, cycle $n: the start fails"
    systemctl stop "vmsilo@$1"
    [[ $(systemctl is-active "vmsilo@$1") == inactive ]] || echo "$1, cycle $n: $(systemctl is-active "vmsilo@$1")"
  done
}

# all COUNT has every VM started and stopped so often, at a time.
all() {
  local vm
  for ((vm = 1; vm <= vms; vm++)); do cycle "vm$vm" "$1" & done
  wait
}

tiny_image /srv/tiny
for ((vm = 1; vm <= vms; vm++)); do
  printf 'id = %d\nhypervisor = "qemu"\nimage = "/srv/tiny"\nmemory = "64M"\ncpus = 1\nuser = "alice"\n' $((vm + 2)) >"/etc/vmsilo/vm$vm.toml"
  printf '[network.interfaces.eth0]\nhost_address = "10.199.%d.1/24"\n' "$vm" >>"/etc/vmsilo/vm$vm.toml"
done
systemctl daemon-reload
# The first ones have systemd load and keep what it does once.
check "the first cycles" same "" "$(all 5 2>&1)"
alone
before=$(count before) memory_before=$(memory)
start=$EPOCHREALTIME
check "$((vms * cycles)) cycles" same "" "$(all "$cycles" 2>&1)"
echo "$(((${EPOCHREALTIME/./} - ${start/./}) / 1000 / vms / cycles)) ms each, $vms at a time"
alone
check "as much is there as before" await settled
[[ $failures -eq 0 ]] || for what in /root/before-*; do diff --unified=0 "$what" "${what/before/after}"; done
memory_after=$(memory)
# A unit has some 8 KiB: one a cycle is three times as much as this, and an unlucky moment less.
check "PID 1 uses as much memory: $memory_before KiB, then $memory_after" test $((memory_after - memory_before)) -lt 256
check "nothing is left" nothing_left
check "nothing has failed" same '' "$(systemctl list-units --failed --plain --no-legend 'vmsilo*')"
finish
