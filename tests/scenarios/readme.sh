#!/bin/bash
# What the README has people type to install vmsilo and to start a first VM, word for word, on a bare Debian 13.
# host: --release=bare --network --checkout --no-install --no-image
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# blocks SECTION prints the commands of the README's section.
blocks() {
  awk -v section="## $1" '/^## / { in_section = ($0 == section) } in_section && /^```/ { in_block = !in_block; next }
    in_section && in_block' README.md
}

# type_in SECTION runs the section's commands in one shell, which ends at the first that fails.
type_in() {
  local start=$EPOCHSECONDS
  if blocks "$1" >/root/commands && bash -euxo pipefail /root/commands >/root/log 2>&1 </dev/null; then
    echo "ok: $1 ($((EPOCHSECONDS - start)) s)"
  else
    echo "FAILED: $1"
    tail -n 60 /root/log | cut --characters=1-300
    exit 1
  fi
}

cd /root/vmsilo || exit 1
check "nothing of it is there before" fails command -v go meson qemu-system-x86_64 vhost-device-vsock
type_in Installation
check "the installation has commands" test "$(blocks Installation | wc -l)" -gt 10
type_in 'A first VM'
check "the VM was up" grep --quiet 'Active: active (running)' /root/log
check "its home is the user's" grep --quiet '^drwx------ . 1000 1000\|^drwx------ . alice alice' /root/log
check "nothing is left" nothing_left
finish
