#!/bin/bash
# Run by tests/bench/memory on the host that it boots. Prints a table.
set -euo pipefail
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# configure writes one VM for each VMM that is here.
configure() {
  local id=3
  tiny_image /srv/image
  mkdir /srv/docs
  vms=()
  for program in qemu-system-x86_64 crosvm cloud-hypervisor; do
    command -v "$program" >/dev/null || continue
    vm=${program%%-system*}
    vms+=("$vm")
    cat >"/etc/vmsilo/$vm.toml" <<END
id = $id
hypervisor = "$vm"
memory = "256M"
cpus = 2
image = "/srv/image"
network.interfaces.lan0 = {}
END
    id=$((id + 1))
  done
  # crosvm lets its GPU open 32768 files, which a machine may not allow.
  [[ ! -e /etc/vmsilo/crosvm.toml ]] || echo "gpu = false" >>/etc/vmsilo/crosvm.toml
  systemctl daemon-reload
}

# pss UNIT… prints the KiB that the processes of these units have, shared ones by their share, without the guest's memory, and
# how many processes there are.
pss() {
  local unit pid
  for unit in "$@"; do
    while read -r pid; do
      cat "/proc/$pid/smaps"
      echo "process"
    done < <(cat "/sys/fs/cgroup$(systemctl show --property=ControlGroup --value "$unit")/cgroup.procs")
  done | awk '
    /^[0-9a-f]+-[0-9a-f]+ / { guest = $6 ~ /^\/memfd:(memory-backend-memfd|crosvm_guest|ch_ram)/ }
    /^Pss:/ { if (guest) theirs += $2; else sum += $2 }
    /^process/ { n++ }
    END { printf "%d %d %d\n", sum, n, theirs }'
}

# row VM prints its line of the table.
row() {
  local vm=$1 units unit all='' cell
  mapfile -t units < <(systemctl list-units --plain --no-legend --state=running "vmsilo*@$vm*.service" | cut -d ' ' -f 1)
  printf '%-18s' "$vm"
  for unit in "vmsilo@$vm" "vmsilo-share@$vm:home" "vmsilo-vsock@$vm"; do
    cell=$(pss "$unit.service")
    printf '%10.1f' "$(awk '{ print $1 / 1024 }' <<<"$cell")"
  done
  all=$(pss "${units[@]}")
  awk '{ printf "%10.1f %10d %10.1f\n", $1 / 1024, $2, $3 / 1024 }' <<<"$all"
}

configure
for vm in "${vms[@]}"; do
  # QEMU, the first, emulates: not every KVM that runs the others' guest runs its firmware.
  [[ $vm == qemu || -e /dev/kvm ]] || { mknod --mode=660 /dev/kvm c 10 232 && chgrp kvm /dev/kvm; }
  tiny_start "$vm"
  # What is only there for the start leaves.
  sleep 10
done
echo "$(nproc) CPUs, Linux $(uname -r), $(systemctl --version | head -n 1); a guest of 256 MiB, 2 CPUs, with a home and an interface; MiB"
echo
printf '%-18s%10s%10s%10s%10s %10s %10s\n' '' VMM virtiofsd vsock total processes guest
for vm in "${vms[@]}"; do row "$vm"; done
