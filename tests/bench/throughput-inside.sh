#!/bin/bash
# Run by tests/bench/throughput on the host that it boots. Prints medians and their ratios.
set -euo pipefail
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

runs=9
seconds=3

# configure writes the VM, and a network beyond the host, which forwards there; what is measured goes to the host itself.
configure() {
  cat >/etc/vmsilo/bench.toml <<'END'
id = 3
hypervisor = "qemu"
memory = "512M"
user = "alice"
start_timeout = "900s"
kernel_params = ["quiet", "mitigations=off"]
host_ports = ["7/tcp"]

[network.interfaces.wan]
nat = true
END
  systemctl daemon-reload
  ip link add eth9 type veth peer name peer
  ip address add 198.51.100.2/24 dev eth9
  ip link set eth9 up
}

# hand_line prints the QEMU line of the VM, with the paths, the TAP and the addresses of the one by hand.
hand_line() {
  sed -n 's/^ExecStart=.* \(qemu-system-x86_64 .*\)/\1/p' /run/systemd/generator/vmsilo@bench.service.d/50-vmsilo.conf |
    sed -E 's#^qemu-system-x86_64#& -accel tcg -cpu Nehalem#; s#/run/vmsilo/bench:home.sock#/run/vmsilo/hand/home#
      s#/run/vmsilo/bench/#/run/vmsilo/hand/#g; s#/var/lib/vmsilo/bench/ephemeral.qcow2#/srv/hand.qcow2#
      s#ifname=bench-22#ifname=hand-22#; s#10\.200\.0\.#10.199.0.#g'
}

# by_hand starts the same guest by a script, with a TAP that nothing filters: it is in a network namespace of its own, as the kernel
# would have the VM's tables look at it, too.
by_hand() {
  install --directory /run/vmsilo/hand/vmm /run/vmsilo/hand/vsock /srv/home
  qemu-img create -q -f qcow2 /srv/hand.qcow2 10G
  ip netns add hand
  ip -netns hand tuntap add hand-22 mode tap vnet_hdr
  ip -netns hand address add 10.199.0.96/31 dev hand-22
  ip -netns hand link set hand-22 up
  vhost-device-vsock --guest-cid=99 --socket=/run/vmsilo/hand/vsock/vhost.sock --uds-path=/run/vmsilo/hand/vsock/host.sock >/dev/null 2>&1 &
  /usr/libexec/virtiofsd --socket-path=/run/vmsilo/hand/home --shared-dir=/srv/home >/dev/null 2>&1 &
  until [[ -S /run/vmsilo/hand/vsock/vhost.sock && -S /run/vmsilo/hand/home ]]; do sleep 0.01; done
  eval "exec ip netns exec hand $(hand_line) </dev/null >/dev/null &"
  hand=$!
}

await_network() {
  local deadline=$((EPOCHSECONDS + 300))
  until guest "$1" 'ip address show wan | grep --quiet inet.*/31 && mountpoint --quiet /home/user' >/dev/null; do
    [[ $EPOCHSECONDS -lt $deadline ]]
  done
}

declare -A hosts=([bench]=10.200.0.96 [hand]=10.199.0.96)

# once VM VERB prints MiB/s.
once() { guest "$1" "/home/user/stream $2 ${hosts[$1]}:7 $seconds"; }

median() { sort --numeric-sort "/run/samples-$1" | sed -n "$(((runs + 1) / 2))p"; }

configure
systemctl start vmsilo@bench
by_hand
await_network bench
await_network hand
install /usr/local/bin/stream /srv/home/
install /usr/local/bin/stream /shared/bench/
stream listen :7 &
ip netns exec hand stream listen :7 &
ways=(send receive)
for ((run = 0; run <= runs; run++)); do
  # Each is first in turn, so that neither has the better moments.
  vms=(bench hand)
  [[ $((run % 2)) -eq 0 ]] || vms=(hand bench)
  for way in "${ways[@]}"; do
    for vm in "${vms[@]}"; do
      sample=$(once "$vm" "$way")
      echo "$vm, $way: $sample" >&2
      # The first of each is beside what is done for the first time.
      [[ $run -eq 0 ]] || echo "$sample" >>"/run/samples-$vm, $way"
    done
  done
done
echo "$(nproc) CPUs, Linux $(uname -r), $(qemu-system-x86_64 --version | head -n 1); load: $(cut -d ' ' -f 1-3 /proc/loadavg)"
echo "Emulated: 2 CPUs, 512 MiB; TCP over IPv4 for $seconds s at once; medians of $runs runs, in turn"
echo
printf '%-24s%10s%10s%8s\n' MiB/s vmsilo "by hand" ratio
for way in "${ways[@]}"; do
  awk -v way="$way" '{ printf "%-24s%10.1f%10.1f%8.2f\n", way, $1, $2, $1 / $2 }' <<<"$(median "bench, $way") $(median "hand, $way")"
done
# shellcheck disable=SC2046 # one word each
kill $(jobs -p)
wait "$hand" || true
