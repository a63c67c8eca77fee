#!/bin/bash
# The part of tests/scenarios/passthrough.sh that runs on the host with an IOMMU. What starts there takes its time.
# Functions that check calls.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

nic=0000:00:08.0

# The console takes a minute without a word for the end.
while sleep 20; do echo still here; done &
trap 'kill %1' EXIT

# vm NAME ID LINE… writes the configuration of a VM.
vm() {
  printf 'id = %d\nhypervisor = "qemu"\nimage = "/srv/tiny"\nmemory = "64M"\ncpus = 1\nshared_home = false\n' "$2"
  printf 'root_overlay = { type = "tmpfs" }\nstart_timeout = "10min"\nstop_timeout = "4min"\n'
  printf '%s\n' "${@:3}"
} >"/etc/vmsilo/$1.toml"

# driver_of ADDRESS prints the driver of a device, or nothing.
driver_of() { basename "$(readlink "/sys/bus/pci/devices/$1/driver")"; }

# drivers prints every device's.
drivers() { (cd /sys/bus/pci/devices && for device in *; do echo "$device $(driver_of "$device")"; done); }

# start VM starts it, and says in the place of its guest that it is up.
start() {
  local starting
  systemctl start "vmsilo@$1" &
  starting=$!
  until tiny_is_up "$1"; do
    kill -0 "$starting" || return 1
    sleep 1
  done
  printf READY=1 | socat -u - "UNIX-CONNECT:/run/vmsilo/$1/vsock/host.sock_5001"
  wait "$starting"
}

# refused VM TEXT looks whether a VM that was started in vain says why.
refused() { journalctl --sync && check "$1 says why" holds "$(systemctl status --no-pager --full "vmsilo@$1")" "$2"; }

# may UID tells whether that user may open the group of the network card, which one alone can do at a time.
may() { setpriv --reuid="$1" --regid="$1" --clear-groups test -w "/dev/vfio/$group"; }

# seen prints what devices QEMU shows to the guest behind bridges, as their vendors and their ids.
seen() {
  printf '{"execute": "qmp_capabilities"}{"execute": "query-pci"}' | socat -t 10 - UNIX-CONNECT:/run/vmsilo/passed/vmm/qmp.sock |
    jq --raw-output 'select(.return | arrays).return[].devices[] | select(.pci_bridge).pci_bridge.devices[]? | .id | "\(.vendor):\(.device)"'
}

is_back() {
  same virtio-pci "$(driver_of "$nic")" && ls -d "/sys/bus/pci/devices/$nic"/virtio*/net/* && fails test -e "/dev/vfio/$group" &&
    same '(null)' "$(cat "/sys/bus/pci/devices/$nic/driver_override")"
}

processors() { sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$(vmm_of passed)/status"; }
memory() { sed -n 's/^Mems_allowed_list:\t//p' "/proc/$(vmm_of passed)/status"; }
huge_pages() { sed -n 's/^HugePages_Free: *//p' /proc/meminfo; }

systemd-sysusers && systemd-tmpfiles --create 2>/dev/null
tiny_image /srv/tiny
mkdir --parents /etc/vmsilo
vm bridge 10 'pci_devices = ["00:0a.0"]'
vm disk 11 'pci_devices = ["00:02.0"]'
vm shared 12 'pci_devices = ["00:09.0"]'
vm absent 13 'pci_devices = ["00:0f.0"]'
vm passed 14 "pci_devices = [\"$nic\"]" 'huge_pages = true' 'network.interfaces.eth0 = {}'
systemctl daemon-reload
group=$(basename "$(readlink "/sys/bus/pci/devices/$nic/iommu_group")")
before=$(drivers)

echo "what cannot be had"
check "none of them starts" fails systemctl start vmsilo@{bridge,disk,shared,absent,passed}
refused bridge 'PCI device "0000:00:0a.0" is a bridge, of class 0x0604'
refused disk 'PCI device "0000:00:02.0" has a disk of the host, with "/'
refused shared 'PCI device "0000:00:09.0" is in one IOMMU group with "0000:00:09.1", which virtio-pci has'
refused absent 'PCI device "0000:00:0f.0" is not there'
refused passed 'its memory takes 32 huge pages of 2 MiB, and of the host'"'"'s 0 there are 0 free: sysctl vm.nr_hugepages=32 makes enough'
check "vmsilo why has it, too" holds "$(vmsilo why shared)" 'is in one IOMMU group with'
check "nothing is left of them" nothing_left bridge disk shared absent passed
check "every device has the driver that it had" same "$before" "$(drivers)"

sysctl --quiet vm.nr_hugepages=36

echo "the helper that takes a device is killed"
# shellcheck disable=SC2016 # for the stand-in
for moment in '"$real" "$@"; kill -STOP $$' '"$real" "$@" & sleep 0.02; kill -KILL $!; kill -STOP $$'; do
  stand_in vmsilo-pci "$moment"
  systemctl start vmsilo@passed 2>/dev/null &
  starting=$!
  check "it runs" becomes '^yes$' eval 'stopped && echo yes'
  restore
  wait "$starting"
  check "the VM does not start" test $? -ne 0
  check "nothing is left of it" nothing_left passed
  check "the device has the driver that it had" is_back
done

echo "the helper that gives it back is killed"
# shellcheck disable=SC2016 # for the stand-in
for moment in 'kill -STOP $$' '"$real" "$@" & sleep 0.02; kill -KILL $!; kill -STOP $$'; do
  check "the VM starts" start passed
  stand_in vmsilo-pci "$moment"
  systemctl stop vmsilo-passed.slice &
  stopping=$!
  check "it runs" becomes '^yes$' eval 'stopped && echo yes'
  restore
  wait "$stopping"
  check "nothing is left of it" nothing_left passed
  check "the device has the driver that it had" is_back
done

echo "a device"
check "a VM with a device starts" start passed
check "vfio-pci has it" same vfio-pci "$(driver_of "$nic")"
check "QEMU has it, too, and the guest can find it" same 6900:4161 "$(seen)"
check "its user may open it" may 70014
check "the kernel carries its packets" holds "$(readlink "/proc/$(vmm_of passed)"/fd/*)" /dev/vhost-net
check "another VM's may not" fails may 70010
check "the guest's memory is 32 huge pages" same 4 "$(huge_pages)"
check "a slice takes processors and nodes of memory" systemctl set-property vmsilo-passed.slice AllowedCPUs=1 AllowedMemoryNodes=0
check "the VMM is on these" same "1 0" "$(processors) $(memory)"
slice=/sys/fs/cgroup/vmsilo.slice/vmsilo-passed.slice
check "and less of the processors, and memory, of which there are 16 MiB more" systemctl set-property --runtime vmsilo-passed.slice \
  CPUWeight=50 MemoryMax=$(($(cat $slice/memory.current) + (16 << 20)))
check "the kernel knows" same 50 "$(cat $slice/cpu.weight)"
# More than all that the slice may have: what it has by now are pages of files, too, which make room.
check "who takes more of it" fails systemd-run --quiet --wait --slice=vmsilo-passed.slice --property=OOMScoreAdjust=1000 \
  sh -c 'head --bytes=1G /dev/zero | tail --bytes=1G >/dev/null'
check "is killed" grep '^oom_kill [1-9]' $slice/memory.events
check "and no process of the VM's" systemctl is-active vmsilo@passed vmsilo-vsock@passed
check "the VMM is killed" kill -KILL "$(vmm_of passed)"
check "the VM ends" becomes '^failed$' systemctl is-active vmsilo@passed
check "nothing is left of it" nothing_left passed
check "the device has the driver that it had" is_back
check "the pages are free" same 36 "$(huge_pages)"

echo "again"
check "it starts again" start passed
check "on the same processors" same "1 0" "$(processors) $(memory)"
check "with the device" same vfio-pci "$(driver_of "$nic")"
rm /etc/vmsilo/passed.toml
vm other 15 "pci_devices = [\"$nic\"]"
systemctl daemon-reload
check "another VM cannot have it meanwhile" fails systemctl start vmsilo@other
refused other "PCI device \"$nic\" is in VM \"passed\""
check "it is still there" same vfio-pci "$(driver_of "$nic")"
check "it stops, without its file" systemctl stop vmsilo@passed
check "nothing is left of it" nothing_left passed
check "the device has the driver that it had" is_back
check "so has every other" same "$before" "$(drivers)"
check "the journal says so" holds "$(journalctl --boot --unit=vmsilo-pci@passed --output=cat)" \
  "took PCI device \"$nic\" from virtio-pci" "gave PCI device \"$nic\" back to virtio-pci"
finish
