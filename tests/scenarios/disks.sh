#!/bin/bash
# Disks that the VM's user may not open: lent, used, given back as they were, and refused when they are not what they should be.
# files: disks/*.toml
# Functions that check calls.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# blocks FILE prints how much of the disk a file takes, in KiB.
blocks() { du --block-size=1K "$1" | cut -f 1; }

# refused VM PART… starts the VM, which must fail with these words, and leave nothing behind.
refused() {
  local vm=$1
  shift
  check "$vm does not start" fails systemctl start "vmsilo@$vm"
  journalctl --sync
  check "$vm: systemctl status says why" holds "$(systemctl status --no-pager --full "vmsilo@$vm")" "$@"
  check "$vm: nothing is left" nothing_left "$vm"
}

install --directory --owner=alice /srv/docs
# Nobody but alice may enter this folder.
install --directory --mode=700 --owner=alice --group=alice /home/alice/vm
cd /home/alice/vm || exit 1
for n in {1..7}; do truncate --size=8M "d$n.img"; done
truncate --size=64M data.img
printf 'of the host' >archive.img
truncate --size=1M archive.img
qemu-img create -q -f qcow2 grows.qcow2 64M
chown alice:alice -- *
chmod 600 -- *
before=$(stat --format='%n %U %G %a' -- *)

check "the VM starts" systemctl start vmsilo@files
check "its user may not open them" fails setpriv --reuid=vmsilo-files --regid=vmsilo-files --clear-groups cat archive.img
check "the guest has them by their serials" same "vmsilo-archive 1M 1 vmsilo-d1 8M 0 vmsilo-d2 8M 0 vmsilo-d3 8M 0 vmsilo-d4 8M 0 vmsilo-d5 8M 0 vmsilo-d6 8M 0 vmsilo-d7 8M 0 vmsilo-data 64M 0 vmsilo-grows 64M 0" \
  "$(guest files 'lsblk --nodeps --noheadings --output SERIAL,SIZE,RO' | grep -vE 'vmsilo-(root|overlay)' | sort | xargs)"
check "and by names in /dev" guest files 'cd /dev/disk/by-id && ls virtio-vmsilo-data virtio-vmsilo-grows virtio-vmsilo-d5'
# shellcheck disable=SC2016 # for the guest
check "every device is where docs/pci.md has it" same "$(
  printf '02.%s block\n' {0..7} && printf '03.0 block\n04.0 fs\n04.1 fs\n05.0 vsock\n' && printf '05.%s block\n' {1..3} &&
    printf '06.0 rng\n06.1 balloon\n' && printf '%s fs\n' 0{7..9}.0 0{a..f}.0 && printf '%s net\n' 1{0..9}.0 1{a..e}.0
)" "$(guest files 'cd /sys/bus/pci/devices && for d in */virtio*; do
    case $(cat "$d/device") in 0x0001) what=net ;; 0x0002) what=block ;; 0x0004) what=rng ;; 0x0005) what=balloon ;; 0x0013) what=vsock ;; 0x001a) what=fs ;; esac
    d=${d%/*} && echo "${d#0000:00:} $what"; done')"
check "the first interface is the first, whatever else there is" guest files 'ls /sys/bus/pci/devices/0000:00:10.0/virtio*/net/lan0'
check "the first disk is the first" same vmsilo-archive "$(guest files 'cat /sys/bus/pci/devices/0000:00:02.1/virtio*/block/*/serial; echo')"
check "and a share is behind the home" guest files 'mountpoint /srv/s10 && ls /sys/bus/pci/devices/0000:00:04.1/virtio*'
check "what the host wrote is read" same "of the host" "$(guest files 'head --bytes=11 /dev/disk/by-id/virtio-vmsilo-archive; echo')"
check "what is read-only is not written" fails guest files 'echo x | dd of=/dev/disk/by-id/virtio-vmsilo-archive conv=fsync'
check "a file system is made" guest files 'mkfs.ext4 -q /dev/disk/by-id/virtio-vmsilo-data && mount /dev/disk/by-id/virtio-vmsilo-data /mnt && head --bytes=20M /dev/urandom >/mnt/x && echo kept >/mnt/y && sync'
full=$(blocks data.img)
check "what is removed returns to the host" guest files 'rm /mnt/x && sync && fstrim /mnt && umount /mnt'
check "$full KiB became $(blocks data.img)" test "$(blocks data.img)" -lt $((full - 18000))
check "a qcow2 grows" guest files 'printf "in the qcow2" | dd of=/dev/disk/by-id/virtio-vmsilo-grows conv=fsync'
check "somebody else cannot let one grow" holds "$(runuser --user=bob -- vmsilo resize files data 96M 2>&1)" 'VM "files" belongs to user alice'
check "its user can" runuser --user=alice -- vmsilo resize files data 96M
check "the guest sees it" becomes '^100663296$' guest files 'blockdev --getsize64 /dev/disk/by-id/virtio-vmsilo-data'
check "so does the host" same 100663296 "$(stat --format=%s data.img)"
check "a qcow2, too" vmsilo resize files grows 80M
check "which the guest sees" becomes '^83886080$' guest files 'blockdev --getsize64 /dev/disk/by-id/virtio-vmsilo-grows'
check "it keeps what it has" same "in the qcow2" "$(guest files 'head --bytes=12 /dev/disk/by-id/virtio-vmsilo-grows; echo')"
check "none shrinks" same 'vmsilo: error: VM "files": disk "data" has 100663296 bytes, and is never made smaller' "$(vmsilo resize files data 64M 2>&1)"
check "nor does one grow that is read-only" holds "$(vmsilo resize files archive 2M 2>&1)" 'disk "archive" is read-only'
check "nor the root" holds "$(vmsilo resize files root 2G 2>&1)" '"root" is not one of the disks'

echo "memory"
check "the balloon is where it is to be" guest files 'grep 0x0005 /sys/bus/pci/devices/0000:00:06.1/virtio*/device'
# VIRTIO_BALLOON_F_DEFLATE_ON_OOM and VIRTIO_BALLOON_F_REPORTING of linux/virtio_balloon.h.
check "it gives back what is free, and takes it when it must" same 11 "$(guest files 'cut --bytes=3,6 /sys/bus/pci/devices/0000:00:06.1/virtio*/features')"
total=$(guest files 'sed -n "s/^MemTotal: *\([0-9]*\) .*/\1/p" /proc/meminfo')
free() { guest files 'sed -n "s/^MemFree: *\([0-9]*\) .*/\1/p" /proc/meminfo'; }
unused=$(free)
check "a balloon of 64 MiB" vmsilo balloon files 64M
taken() { [[ $(free) -lt $((unused - 48 * 1024)) ]]; }
check "takes them from what is free ($unused of $total KiB)" await taken
check "none gives them back" vmsilo balloon files 0
check "which it does" await fails taken
check "one that is too large is refused" holds "$(vmsilo balloon files 512M 2>&1)" "leaves nothing of the guest's 536870912"
check "a pause" vmsilo pause files
check "holds it up" fails timeout 3 vmsilo run files true
check "is in the list" becomes '^paused$' listed files
check "and ends" vmsilo resume files

echo "ends"
check "a reboot keeps them" guest files 'systemctl --no-block reboot'
check "it is up again" becomes '^2 active$' eval 'starts_of files; systemctl is-active vmsilo@files'
check "with what was written" same "in the qcow2 kept" \
  "$(guest files 'head --bytes=12 /dev/disk/by-id/virtio-vmsilo-grows; echo; mount -r /dev/disk/by-id/virtio-vmsilo-data /mnt; cat /mnt/y; umount /mnt' | xargs)"
vmsilo pause files
check "paused, it stops" systemctl stop vmsilo@files
check "as a guest that was asked" same '' "$(log_of files vmsilo-stop | grep 'goes on after\|killed')"
check "nothing is left" nothing_left files
check "their owners and modes are as before" same "$before" "$(stat --format='%n %U %G %a' -- *)"
check "nor has one a list of who may" fails grep --quiet '^user:[^:]' <(getfacl --recursive /home/alice/vm 2>/dev/null)

echo "what is not as it should be"
# A guest has written this to its raw disk.
printf 'QFI\373' | dd of=data.img conv=notrunc status=none
refused files '"/home/alice/vm/data.img" is to be raw, and has the header of qcow2'
truncate --size=0 data.img && truncate --size=64M data.img
rm grows.qcow2
qemu-img create -q -f qcow2 -b /etc/shadow -F raw grows.qcow2 64M
refused files '"/home/alice/vm/grows.qcow2" has a backing file'
rm grows.qcow2
refused files '"/home/alice/vm/grows.qcow2" is not there'
ln -s /etc/shadow grows.qcow2
refused files '"/home/alice/vm/grows.qcow2" is a symbolic link, or goes through one' "write the path that it leads to"
rm grows.qcow2
mkfifo grows.qcow2
refused files '"/home/alice/vm/grows.qcow2" is not a regular file'
mv /home/alice/vm /home/alice/elsewhere
ln -s /etc /home/alice/vm
refused files '"/home/alice/vm/archive.img" is a symbolic link, or goes through one'
check "vmsilo why says why" holds "$(vmsilo why files)" '"/home/alice/vm/archive.img" is a symbolic link'
refused device '"/dev/null" is not a block device'
finish
