#!/bin/bash
# Run by tests/bench/guest-boot on the host that it boots. Starts a VM of vmsilo's and one by hand in turn, and prints
# what their boots took and how they compare.
#
# The VM is the one of a few lines that the README begins with: a root with an overlay on a disk, a shared home, an
# interface. The one by hand has the image of tests/bench/image-by-hand and nothing but a root with an overlay in memory.
# It is READY when multi-user.target is reached, which it says on its console; vmsilo's says so by vsock, when that,
# its home and its interface are there.
set -euo pipefail
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

runs=5
images=/var/lib/vmsilo/images
parameters=(quiet mitigations=off)

# probe prints the parameters that give a guest a unit, with nothing of it in the image: it tells on the console when
# multi-user.target is reached, and what systemd-analyze reckons with and the memory in use when the boot has finished.
# It writes kernel messages, as whoever opens the console may hang it up in mid-line. 3: quiet does not hide it.
probe() {
  local unit
  unit=$(base64 --wrap=0 <<'END_UNIT'
[Unit]
After=multi-user.target
[Service]
ExecStart=sh -c 'echo "<3>probe: up" >/dev/kmsg; s=$$(systemctl is-system-running --wait); echo "<3>probe: state=$$s" $$(systemctl show -p InitRDTimestampMonotonic -p UserspaceTimestampMonotonic -p FinishTimestampMonotonic; sed -n "s/^\\(Mem[TA][a-z]*\\): *\\([0-9]*\\).*/\\1=\\2/p" /proc/meminfo) >/dev/kmsg'
END_UNIT
  )
  echo "systemd.set_credential_binary=systemd.extra-unit.probe.service:$unit systemd.wants=probe.service"
}

# configure writes the VM.
configure() {
  printf 'id = 3\nhypervisor = "qemu"\nmemory = "1G"\ncpus = 2\nstart_timeout = "300s"\nkernel_params = ['
  printf '"%s", ' "${parameters[@]}"
  printf ']\n[network.interfaces.lan0]\nhost_address = "10.199.3.1/24"\n'
}

# boot_vmsilo and boot_by_hand start a guest and return when it has said all. The times at which QEMU started and at
# which the guest was READY, in microseconds, are left in $started and $ready.
boot_vmsilo() {
  systemctl start vmsilo@boot
  await_probe boot-guest
  started=$(logged_at vmsilo-qemu '^starting ')
  ready=$(stat --format=%.6Y /run/vmsilo/boot/vmm/ready)
  ready=${ready/./}
}

boot_by_hand() {
  # The board, the processor and the memory are the VM's. It logs to the journal, too.
  systemd-run --quiet --collect --unit=by-hand --property=SyslogIdentifier=by-hand-guest \
    --property=StandardOutput=journal --property=SyslogLevelPrefix=no -- \
    qemu-system-x86_64 -accel tcg -cpu Nehalem -nodefaults -no-user-config -display none -no-reboot \
    -machine q35,sata=off,smbus=off,usb=off,vmport=off -m 1G -smp 2 \
    -serial stdio -device virtio-rng-pci \
    -drive if=none,id=root,format=raw,read-only=on,file="$images/by-hand/root.erofs" -device virtio-blk-pci,drive=root \
    -kernel "$images/by-hand/vmlinuz" -initrd "$images/by-hand/initrd" \
    -append "console=ttyS0 root=/dev/vda rootfstype=erofs ro systemd.volatile=overlay ${parameters[*]}"
  started=$(date --date="$(systemctl show --property=ExecMainStartTimestamp --value --timestamp=us by-hand)" +%s%6N)
  await_probe by-hand-guest
  ready=$(logged_at by-hand-guest 'probe: up')
}

# of_run prints the messages with an identifier, since the run began.
of_run() {
  journalctl --boot --after-cursor="$cursor" --identifier="$1" "${@:2}"
}

# await_probe IDENTIFIER waits until the guest has said all.
await_probe() {
  local deadline=$((SECONDS + 300))
  until of_run "$1" --quiet --grep='probe: state=' >/dev/null; do
    [[ $SECONDS -lt $deadline ]] || { of_run "$1" && echo "FAILED: no word of the probe from $1" && exit 1; }
    sleep 0.5
  done
}

# logged_at IDENTIFIER PATTERN prints when a message came, in microseconds.
logged_at() {
  of_run "$1" --grep="$2" --output=json | jq --raw-output .__REALTIME_TIMESTAMP | tail -n 1
}

# sample GUEST UNIT IDENTIFIER boots it and prints one line, in microseconds: before the kernel's clock began, in the
# kernel, in the initrd, in userspace, these three in all, from the start of QEMU to READY, and QEMU's CPU time; KiB of
# memory in use, and what systemd says of the guest.
sample() {
  local cursor started ready used
  cursor=$(journalctl --boot --lines=0 --show-cursor | sed -n 's/^-- cursor: //p')
  "boot_$1"
  used=$(systemctl show --property=CPUUsageNSec --value "$2")
  {
    echo "$started $ready $((used / 1000)) $(logged_at "$3" 'probe: up')"
    of_run "$3" --grep='probe: ' --output=cat | tr --delete '\r' | sed -n 's/.*\[ *\([0-9.]*\)\] probe: /\1 /p'
  } | awk '
    NR == 1 { started = $1; ready = $2; used = $3; up = $4 }
    $2 == "up" { clock = $1 * 1e6 }
    { for (i = 2; i <= NF; i++) { split($i, pair, "="); of[pair[1]] = pair[2] } }
    END {
      initrd = of["InitRDTimestampMonotonic"]; user = of["UserspaceTimestampMonotonic"]; all = of["FinishTimestampMonotonic"]
      printf "%.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f %s\n", up - started - clock, initrd, user - initrd, all - user,
        all, ready - started, used, of["MemTotal"] - of["MemAvailable"], of["state"]
    }'
  systemctl stop "$2"
}

# median COLUMN GUEST prints the median of a column of a guest's samples.
median() {
  cut -d ' ' -f "$1" "/run/samples-$2" | sort -n | sed -n "$(((runs + 1) / 2))p"
}

# least COLUMN GUEST prints its least: of a machine that has other work, too, the nearest to one that has none.
least() {
  cut -d ' ' -f "$1" "/run/samples-$2" | sort -n | head -n 1
}

# row WHAT VMSILO BY-HAND UNITS prints a line of the table; UNITS is how many make one of those that are printed.
row() {
  awk -v what="$1" '{ printf "%-30s %9.1f %9.1f %7.2f\n", what, $1 / $3, $2 / $3, $1 / $2 }' <<<"$2 $3 $4"
}

# medians COLUMN WHAT UNITS prints the line of a column.
medians() {
  row "$2" "$(median "$1" vmsilo)" "$(median "$1" by_hand)" "$3"
}

table() {
  local file
  printf '%-30s %9s %9s %7s\n' '' vmsilo 'by hand' ratio
  for file in vmlinuz initrd root.erofs; do
    row "$file, MiB" "$(stat --format=%s "$images/default/$file")" "$(stat --format=%s "$images/by-hand/$file")" 1048576
  done
  medians 8 "memory in use, MiB" 1024
  medians 1 "QEMU and firmware, s" 1000000
  medians 2 "kernel, s" 1000000
  medians 3 "initrd, s" 1000000
  medians 4 "userspace, s" 1000000
  medians 5 "  as systemd-analyze has it, s" 1000000
  medians 7 "CPU time of QEMU, s" 1000000
  row "  least" "$(least 7 vmsilo)" "$(least 7 by_hand)" 1000000
  medians 6 "start of QEMU to READY, s" 1000000
  row "  least" "$(least 6 vmsilo)" "$(least 6 by_hand)" 1000000
}

main() {
  local run given
  read -r -a given <<<"$(probe)"
  parameters+=("${given[@]}")
  configure >/etc/vmsilo/boot.toml
  systemctl daemon-reload
  echo "$(nproc) CPUs, Linux $(uname -r), $(qemu-system-x86_64 --version | head -n 1); load: $(cut -d ' ' -f 1-3 /proc/loadavg)"
  echo "Emulated: 2 CPUs, 1 GiB; ${parameters[*]:0:2}; medians of $runs runs, in turn"
  # In turn, so that whatever else the machine does slows both.
  for ((run = 1; run <= runs; run++)); do
    sample vmsilo vmsilo@boot boot-guest >>/run/samples-vmsilo
    sample by_hand by-hand by-hand-guest >>/run/samples-by_hand
  done
  # A boot with a unit that failed is not the whole work.
  for run in vmsilo by_hand; do
    [[ $(grep --count ' running$' "/run/samples-$run") -eq $runs ]] || { echo "FAILED: $run: units failed" && exit 1; }
  done
  echo
  table
}

main
