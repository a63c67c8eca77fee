#!/bin/bash
# Run by tests/bench/devices on the host that it boots. Prints medians and their ratios.
set -euo pipefail
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

runs=7
mebibytes=256

# configure writes the VM, and what both guests have.
configure() {
  install --directory --owner=alice --group=alice /srv/home
  truncate --size=1G /srv/bench.img /srv/hand.img
  cat >/etc/vmsilo/bench.toml <<'END'
id = 3
hypervisor = "qemu"
memory = "512M"
user = "alice"
start_timeout = "300s"
kernel_params = ["quiet", "mitigations=off"]
disks.data = { path = "/srv/bench.img" }
END
  systemctl daemon-reload
}

# hand_line prints the QEMU line of the VM, in which each path is the one that by_hand uses.
hand_line() {
  sed -n 's/^ExecStart=.* \(qemu-system-x86_64 .*\)/\1/p' /run/systemd/generator/vmsilo@bench.service.d/50-vmsilo.conf |
    sed -E 's#^qemu-system-x86_64#& -accel tcg -cpu Nehalem#; s#/run/vmsilo/bench:home.sock#/run/vmsilo/hand/home#
      s#/run/vmsilo/bench/#/run/vmsilo/hand/#g; s#/var/lib/vmsilo/bench/ephemeral.qcow2#/srv/hand.qcow2#'
}

# by_hand starts the same guest by a script.
by_hand() {
  install --directory /run/vmsilo/hand/vmm /run/vmsilo/hand/vsock
  qemu-img create -q -f qcow2 /srv/hand.qcow2 10G
  vhost-device-vsock --guest-cid=99 --socket=/run/vmsilo/hand/vsock/vhost.sock --uds-path=/run/vmsilo/hand/vsock/host.sock >/dev/null 2>&1 &
  /usr/libexec/virtiofsd --socket-path=/run/vmsilo/hand/home --shared-dir=/srv/home >/dev/null 2>&1 &
  until [[ -S /run/vmsilo/hand/vsock/vhost.sock && -S /run/vmsilo/hand/home ]]; do sleep 0.01; done
  eval "exec $(hand_line) 10<>/srv/hand.img </dev/null >/dev/null &"
  hand=$!
  await_shell hand
}

await_shell() {
  local deadline=$((EPOCHSECONDS + 300))
  until guest "$1" 'mountpoint --quiet /home/user' >/dev/null; do [[ $EPOCHSECONDS -lt $deadline ]]; done
}

# each way is what the guest runs, as one line of shell; what was read is not in its memory.
disk=/dev/disk/by-id/virtio-vmsilo-data
declare -A ways=(
  [disk, write]="dd if=/dev/zero of=$disk bs=1M count=$mebibytes oflag=direct conv=fsync status=none"
  [disk, read]="dd if=$disk of=/dev/null bs=1M count=$mebibytes iflag=direct status=none"
  [share, write]="runuser -u user -- dd if=/dev/zero of=/home/user/file bs=1M count=$mebibytes conv=fsync status=none"
  [share, read]="runuser -u user -- dd if=/home/user/file of=/dev/null bs=1M count=$mebibytes status=none"
)
order=("disk, write" "disk, read" "share, write" "share, read")

# once VM WAY prints the seconds that it took.
once() { guest "$1" "sync; echo 3 >/proc/sys/vm/drop_caches; TIMEFORMAT=%3R; time ${ways[$2]}"; }

median() { sort --numeric-sort "/run/samples-$1" | sed -n "$(((runs + 1) / 2))p"; }

configure
systemctl start vmsilo@bench
by_hand
for ((run = 0; run <= runs; run++)); do
  for way in "${order[@]}"; do
    for vm in bench hand; do
      sample=$(once "$vm" "$way")
      echo "$vm, $way: $sample" >&2
      # The first of each is beside what is done for the first time.
      [[ $run -eq 0 ]] || echo "$sample" >>"/run/samples-$vm, $way"
    done
  done
done
echo "$(nproc) CPUs, Linux $(uname -r), $(qemu-system-x86_64 --version | head -n 1)"
echo "Emulated: 2 CPUs, 512 MiB; $mebibytes MiB at once; medians of $runs runs, in turn"
echo
printf '%-24s%10s%10s%8s\n' MiB/s vmsilo "by hand" ratio
for way in "${order[@]}"; do
  awk -v way="$way" -v size="$mebibytes" '{ printf "%-24s%10.1f%10.1f%8.2f\n", way, size / $1, size / $2, $2 / $1 }' \
    <<<"$(median "bench, $way") $(median "hand, $way")"
done
kill "$hand"
wait "$hand" || true
