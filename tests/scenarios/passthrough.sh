#!/bin/bash
# PCI devices of a host in its VMs, huge pages, the processors that a VM may have, and packets that the kernel carries: on a host
# that has an IOMMU and a kernel with vhost-net, which is a guest of this one. VMs of that guest are emulated by what is emulated
# itself; their guests are a few instructions.
# files: passthrough/outer.toml passthrough/inner.sh
# Some functions are called by name.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# The guest's root is that of the usual image, and what this host has beyond it: vmsilo, and what it needs.
make_root() {
  fsck.erofs --extract=/srv/outer /var/lib/vmsilo/images/default/root.erofs &&
    cp --archive --one-file-system --update=none /usr /srv/outer/ &&
    install /etc/vmsilo/inner.sh /root/inside.sh /srv/outer/root/ &&
    mkfs.erofs --quiet /srv/outer.erofs /srv/outer
}

# What it says in the guest is said here: a line for each check.
inner() {
  guest outer 'bash /root/inner.sh' | tee /root/inner | grep --line-buffered --extended-regexp '^(ok|FAILED): '
  [[ ${PIPESTATUS[0]} -eq 0 ]] || { cat /root/inner && return 1; }
}

check "a root with vmsilo" make_root
check "a host with an IOMMU" systemctl start vmsilo@outer
inner || failures=$((failures + 1))
echo "$(($(systemctl show --property=CPUUsageNSec --value vmsilo@outer) / 1000000000)) s of the processors"
check "it powers off" systemctl stop vmsilo@outer
check "nothing is left of it" nothing_left outer
finish
