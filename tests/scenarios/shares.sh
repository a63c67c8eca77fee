#!/bin/bash
# What virtiofsd tells each VMM of a folder, without a VMM: this host's own connection stands for it.
# host: --no-image --release=trixie
# shellcheck disable=SC2317 # functions that check calls
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# tag_of SOCKET asks a vhost-user device as crosvm does, which wants the tag from it: for its features, and then for what the guest
# finds in its configuration. docs/interop/vhost-user.rst of QEMU, and struct virtio_fs_config of linux/virtio_fs.h.
tag_of() {
  timeout 20 python3 - "$1" <<'END'
import socket, struct, sys

device = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
device.connect(sys.argv[1])

def say(request, payload=b""):
    device.sendall(struct.pack("=III", request, 1, len(payload)) + payload)

def ask(request, payload=b""):
    say(request, payload)
    size = struct.unpack("=III", device.recv(12, socket.MSG_WAITALL) or sys.exit("it has closed the connection"))[2]
    return device.recv(size, socket.MSG_WAITALL)

features, = struct.unpack("=Q", ask(1))
say(2, struct.pack("=Q", features & (1 << 32 | 1 << 30)))
protocol, = struct.unpack("=Q", ask(15))
if not protocol & 1 << 9:
    sys.exit("it has no configuration")
say(16, struct.pack("=Q", 1 << 9))
answer = ask(24, struct.pack("=III", 0, 40, 0) + bytes(40))
print(answer[12:48].rstrip(b"\0").decode())
END
}

install --directory /srv/docs
for vmm in crosvm qemu; do
  cat >"/etc/vmsilo/$vmm.toml" <<END
id = $((${#vmm}))
hypervisor = "$vmm"
image = "/srv/tiny"

[shared_directories.Docs_1]
source = "/srv/docs"
target = "/srv/docs"
END
done
tiny_image /srv/tiny
ln --symbolic false /usr/bin/crosvm
systemctl daemon-reload
for vmm in crosvm qemu; do
  check "the folders of $vmm are there" systemctl start "vmsilo-home@$vmm" "vmsilo-share@$vmm:home.socket" "vmsilo-share@$vmm:Docs_1.socket"
done
for tag in home Docs_1; do
  check "crosvm learns that one is $tag" same "$tag" "$(tag_of "/run/vmsilo/crosvm:$tag.sock" 2>&1)"
  # QEMU 7.1 to 8.0 crash when it is told.
  check "QEMU knows that of $tag by itself" same "it has no configuration" "$(tag_of "/run/vmsilo/qemu:$tag.sock" 2>&1)"
done
check "they end with their VMM" becomes '^0$' eval 'pgrep --count virtiofsd || true'
check "nothing has failed" same '' "$(systemctl list-units --failed --plain --no-legend 'vmsilo*')"
systemctl stop vmsilo-crosvm.slice vmsilo-qemu.slice
check "nothing is left" nothing_left
finish
