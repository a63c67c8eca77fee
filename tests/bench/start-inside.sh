#!/bin/bash
# Run by tests/bench/start on the host that it boots. Prints the medians, their ratios, and the critical path by unit.
set -euo pipefail
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

runs=9

# configure writes the VM: two disks, two interfaces, three shares.
configure() {
  tiny_image /srv/tiny
  mkdir -p /srv/one /srv/two
  cat >/etc/vmsilo/bench.toml <<'END'
id = 3
hypervisor = "qemu"
image = "/srv/tiny"
memory = "256M"
cpus = 1
user = "alice"

[network.interfaces.eth0]
host_address = "10.199.3.1/24"

[network.interfaces.eth1]
host_address = "10.199.4.1/24"

[shared_directories.one]
source = "/srv/one"
target = "/srv/one"

[shared_directories.two]
source = "/srv/two"
target = "/srv/two"
END
  systemctl daemon-reload
}

now() { echo "${EPOCHREALTIME/./}"; }

# cpu prints the µs of processor time that all of this host has had. What else the machine does is not in it.
cpu() { sed -n 's/^usage_usec //p' /sys/fs/cgroup/cpu.stat; }

# spent WAY CPU notes what a start has taken since cpu printed that.
spent() { echo $(($(cpu) - $2)) >>"/run/cpu-$1"; }

# vmsilo prints the µs of one start, until the journal had the first byte.
vmsilo() {
  local start line before
  coproc exec journalctl --follow --lines=0 --identifier=bench-guest --output=json
  sleep 0.3
  before=$(cpu)
  start=$(now)
  systemctl start --no-block vmsilo@bench
  read -r -t 60 line <&"${COPROC[0]}"
  spent vmsilo "$before"
  kill "$COPROC_PID"
  ready bench
  await systemctl --quiet is-active vmsilo@bench
  # All of it, so that nothing of this start is in the next.
  systemctl stop vmsilo-bench.slice
  echo $(($(jq --raw-output .__REALTIME_TIMESTAMP <<<"$line") - start))
}

# first_byte FIFO COMMAND… prints when the first byte came out of the FIFO, after the command was started, which may go on.
first_byte() {
  rm -f /run/first /run/first-time
  # It goes on reading, as the journal does.
  { head --bytes=1 >/run/first && now >/run/first-time && cat >/dev/null; } <"$1" >/dev/null &
  "${@:2}" >&2
  until [[ -s /run/first-time ]]; do sleep 0.05; done
  # The guest's, not the VMM's or its firmware's.
  [[ $(</run/first) == K ]]
  cat /run/first-time
}

# by_hand prints the µs of one start of the same QEMU, with what it needs, by a script.
by_hand() {
  local start first each before
  rm -rf /run/hand
  mkdir /run/hand
  mkfifo /run/hand/serial
  before=$(cpu)
  start=$(now)
  for each in 22 23; do
    ip tuntap add "hand-$each" mode tap
    ip link set "hand-$each" up
    ip address add "10.198.$each.1/24" dev "hand-$each"
  done
  qemu-img create -q -f qcow2 /var/lib/vmsilo/hand.qcow2 10G
  vhost-device-vsock --guest-cid=99 --socket=/run/hand/vsock --uds-path=/run/hand/host.sock >/dev/null 2>&1 &
  for each in home one two; do
    /usr/libexec/virtiofsd --socket-path="/run/hand/$each" --shared-dir="/srv/$each" --sandbox=none >/dev/null 2>&1 &
  done
  until [[ -S /run/hand/vsock && -S /run/hand/home && -S /run/hand/one && -S /run/hand/two ]]; do sleep 0.001; done
  first=$(first_byte /run/hand/serial eval "exec $line >/run/hand/serial </dev/null &")
  spent by_hand "$before"
  printf '{"execute":"qmp_capabilities"}{"execute":"quit"}' | socat -t 1 - UNIX-CONNECT:/run/hand/qmp.sock >/dev/null
  pkill vhost-device-v
  wait
  for each in 22 23; do ip link delete "hand-$each"; done
  rm -f /var/lib/vmsilo/hand.qcow2
  echo $((first - start))
}

# hand_line prints the QEMU line of the VM, in which each path is the one that by_hand uses.
hand_line() {
  sed -n 's/^ExecStart=.* \(qemu-system-x86_64 .*\)/\1/p' /run/systemd/generator/vmsilo@bench.service.d/50-vmsilo.conf |
    sed -E 's#^qemu-system-x86_64#& -accel tcg -cpu Nehalem#; s#/run/vmsilo/bench/vsock/vhost.sock#/run/hand/vsock#; s#/run/vmsilo/bench:(home|one|two).sock#/run/hand/\1#g
      s#/run/vmsilo/bench/vmm/#/run/hand/#g; s#/var/lib/vmsilo/bench/ephemeral.qcow2#/var/lib/vmsilo/hand.qcow2#; s#ifname=bench-#ifname=hand-#g'
}

# define has libvirt know a machine of the same parts, but for the vsock device, which it has in the kernel alone.
define() {
  local each
  {
    cat <<'END'
<domain type="qemu"><name>bench</name><memory unit="MiB">256</memory><vcpu>1</vcpu>
<memoryBacking><source type="memfd"/><access mode="shared"/></memoryBacking>
<os><type arch="x86_64" machine="q35">hvm</type><kernel>/srv/tiny/vmlinuz</kernel><initrd>/srv/tiny/initrd</initrd><cmdline>console=ttyS0</cmdline></os>
<features><acpi/></features><cpu mode="custom"><model>Nehalem</model></cpu><devices>
<serial type="pipe"><source path="/run/libvirt-serial"/></serial><controller type="usb" model="none"/>
<disk type="file"><driver name="qemu" type="raw"/><source file="/srv/tiny/root.erofs"/><target dev="vda" bus="virtio"/><readonly/></disk>
<disk type="file"><driver name="qemu" type="qcow2" discard="unmap"/><source file="/var/lib/libvirt/images/bench.qcow2"/><target dev="vdb" bus="virtio"/></disk>
<rng model="virtio"><backend model="random">/dev/urandom</backend></rng>
END
    for each in 0 1; do printf '<interface type="ethernet"><target dev="virt-%d"/><model type="virtio"/><rom enabled="no"/></interface>\n' "$each"; done
    for each in home one two; do
      printf '<filesystem type="mount"><driver type="virtiofs"/><source dir="/srv/%s"/><target dir="%s"/></filesystem>\n' "$each" "$each"
    done
    echo '</devices></domain>'
  } >/root/bench.xml
  mkfifo /run/libvirt-serial.in /run/libvirt-serial.out
  # libvirt's QEMU has a user of its own.
  chmod 666 /run/libvirt-serial.*
  virsh --quiet define /root/bench.xml
}

# libvirt prints the µs of one start.
libvirt() {
  local start first before
  before=$(cpu)
  start=$(now)
  qemu-img create -q -f qcow2 /var/lib/libvirt/images/bench.qcow2 10G
  first=$(first_byte /run/libvirt-serial.out virsh --quiet start bench)
  spent libvirt "$before"
  virsh --quiet destroy bench >&2
  echo $((first - start))
}

# median KIND WAY prints that of the samples.
median() { sort --numeric-sort "/run/$1-$2" | sed -n "$(((runs + 1) / 2))p"; }

configure
mkdir -p /srv/home
DEBIAN_FRONTEND=noninteractive apt-get update >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends jq libvirt-daemon-system libvirt-clients libvirt-daemon-driver-qemu >/dev/null 2>&1
systemctl start libvirtd
line=$(hand_line)
define
for ((run = 0; run <= runs; run++)); do
  for way in vmsilo by_hand libvirt; do
    sample=$("$way")
    echo "$way $sample" >&2
    # The first of each is beside what is read for the first time.
    if [[ $run -gt 0 ]]; then echo "$sample" >>"/run/time-$way"; else rm "/run/cpu-$way"; fi
  done
done
echo "$(nproc) CPUs, Linux $(uname -r), $(systemctl --version | head -n 1), $(virsh --version) is libvirt's; medians of $runs runs"
for way in by_hand vmsilo libvirt; do
  awk -v way="$way" '{ printf "%-8s %6.0f ms %6.2f   CPU %6.0f ms %6.2f\n", way, $1 / 1000, $1 / $2, $3 / 1000, $3 / $4 }' \
    <<<"$(median time "$way") $(median time by_hand) $(median cpu "$way") $(median cpu by_hand)"
done
systemctl start --no-block vmsilo@bench
ready bench
await systemctl --quiet is-active vmsilo@bench
for unit in vmsilo-{user,disk,home,netdev,vsock,share,notify}@bench{,:eth0,:eth1,:home,:one,:two}.service vmsilo@bench.service; do
  systemctl show --property=Id,InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic "$unit" | xargs
done | awk -F "[ =]" 'BEGIN { n = 0 }
  $4 { if (!first || $4 < first) first = $4; id[n] = $2; from[n] = $4; to[n++] = $6 }
  END { for (i = 0; i < n; i++) printf "%-34s %6.0f to %6.0f ms\n", id[i], (from[i] - first) / 1000, (to[i] - first) / 1000 }' | sort --key=2n
