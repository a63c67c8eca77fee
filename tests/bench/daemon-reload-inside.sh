#!/bin/bash
# Run by tests/bench/daemon-reload on the host that it boots. Prints, for each number of VMs, the medians of: a reload;
# that beside the reload without VMs; vmsilo-generator alone, run as systemd runs it; what is left of the reload when
# both the generator and the reload without VMs are taken off; and the memory of PID 1.
set -euo pipefail
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh
# shellcheck source=tests/bench/vms.sh
source /root/vmsilo/tests/bench/vms.sh

runs=7
generator=$(find /usr/lib/systemd/system-generators/ -name vmsilo-generator)
# Where systemd has its generators write, too: a tmpfs.
out=/run/bench

# took COMMAND… prints how many microseconds it takes.
took() {
  local start=${EPOCHREALTIME/./}
  "$@" >&2
  echo $((${EPOCHREALTIME/./} - start))
}

# generate runs the generator alone.
generate() {
  "$generator" "$out" "$out" "$out"
}

# samples prints a line for each run but the first: µs of a reload, µs of the generator, KiB of PID 1.
samples() {
  local run
  for ((run = 0; run <= runs; run++)); do
    rm -rf "$out"
    mkdir "$out"
    # In turn, so that whatever else the machine does slows both.
    echo "$(took systemctl daemon-reload) $(took generate) $(sed -n 's/^VmRSS:\s*\([0-9]*\) kB/\1/p' /proc/1/status)"
  done | tail -n "$runs"
}

# verify COUNT makes sure that there are these VMs, and that systemd knows what the generator wrote of the last.
verify() {
  same "$1" "$(find /run/systemd/generator -name 'vmsilo@vm*.service' | wc -l)"
  [[ $1 -eq 0 ]] || same "VM vm$1: number $1" "$(systemctl show --property=Description --value "vmsilo@vm$1")"
}

median() {
  cut -d ' ' -f "$1" /run/samples | sort -n | sed -n "$(((runs + 1) / 2))p"
}

# The first reloads are beside what the boot has left to do.
systemctl is-system-running --wait >/dev/null || true
samples >/dev/null

echo "$(nproc) CPUs, Linux $(uname -r), $(systemctl --version | head -n 1); medians of $runs runs"
echo
printf '%5s %10s %10s %12s %8s %10s\n' VMs 'reload ms' 'ratio to 0' 'generator ms' 'rest ms' 'PID 1 MiB'
for count in 0 10 100 1000; do
  rm -f /etc/vmsilo/*.toml
  write_vms "$count" /etc/vmsilo
  samples >/run/samples
  verify "$count"
  reload=$(median 1) alone=$(median 2)
  [[ $count -gt 0 ]] || reload0=$reload alone0=$alone
  awk '{ printf "%5d %10.0f %10.2f %12.1f %8.0f %10.1f\n", $1, $2 / 1000, $2 / $3, $4 / 1000, ($2 - $3 - $4 + $5) / 1000, $6 / 1024 }' \
    <<<"$count $reload $reload0 $alone $alone0 $(median 3)"
done
