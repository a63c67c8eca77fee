#!/bin/bash
# The initrd of a vmsilo guest: systemd alone, no shell hooks, no root= on the command line.
#
#	dracut --modules vmsilo --no-hostonly INITRD KERNEL-VERSION
#
# shellcheck disable=SC2154 # moddir, initdir, systemdsystemunitdir, systemdutildir are dracut's

check() {
    require_binaries \
        mkfs.ext4 modprobe \
        /usr/lib/vmsilo/vmsilo-ifname-rules \
        /usr/lib/vmsilo/vmsilo-hostname \
        "$systemdutildir/system-generators/vmsilo-guest-generator" || return 1
    # Only when asked for: this initrd boots a VM's image and nothing else.
    return 255
}

depends() {
    echo systemd-initrd
}

installkernel() {
    # virtiofs and vsock are the root's to load: nothing needs them here.
    hostonly='' instmods virtio_pci pvpanic_pci virtio_rng virtio_blk virtio_net erofs overlay ext4 crc32c lz4_decompress
}

install() {
    inst_multiple mkfs.ext4 modprobe mount umount mkdir echo systemctl
    inst_multiple -o /etc/mke2fs.conf
    inst_multiple \
        /usr/lib/vmsilo/vmsilo-ifname-rules \
        /usr/lib/vmsilo/vmsilo-hostname \
        "$systemdutildir/system-generators/vmsilo-guest-generator"

    local unit
    for unit in run-vmsilo-root.mount sysroot.mount vmsilo-overlay-format.service vmsilo-overlay-dirs.service \
        vmsilo-hostname.service vmsilo-ifname-rules.service emergency.service; do
        inst_simple "$moddir/units/$unit" "$systemdsystemunitdir/$unit"
    done
    local disk
    for disk in root overlay; do
        inst_simple "$moddir/units/50-vmsilo-timeout.conf" \
            "$systemdsystemunitdir/dev-disk-by\\x2did-virtio\\x2dvmsilo\\x2d$disk.device.d/50-vmsilo-timeout.conf"
    done
    inst_simple "$moddir/units/50-vmsilo-trigger.conf" \
        "$systemdsystemunitdir/systemd-udev-trigger.service.d/50-vmsilo-trigger.conf"
    link_unit sysinit.target.wants vmsilo-ifname-rules.service
    link_unit initrd-root-fs.target.requires sysroot.mount
    link_unit initrd-root-fs.target.wants vmsilo-hostname.service
    ln -sf initrd.target "$initdir$systemdsystemunitdir/default.target"

    # They look for a root or a swap in a GPT; the root of a VM is known. The fstab generator stays: in its other role,
    # systemd-sysroot-fstab-check, it leads to the switch of the root.
    rm -f "$initdir$systemdutildir"/system-generators/systemd-{gpt-auto,hibernate-resume}-generator

    # They prepare a system that the next moment is gone; the root's own do the same for it.
    for unit in kmod-static-nodes.service systemd-sysctl.service systemd-modules-load.service \
        systemd-sysusers.service systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service \
        systemd-tmpfiles-setup-dev-early.service; do
        rm -f "$initdir$systemdsystemunitdir/"*".wants/$unit"
    done
}

# link_unit DIRECTORY UNIT: what systemctl add-wants or add-requires would do.
link_unit() {
    mkdir -p "$initdir$systemdsystemunitdir/$1"
    ln -sf "../$2" "$initdir$systemdsystemunitdir/$1/$2"
}
