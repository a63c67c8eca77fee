#!/bin/bash
# Two guests side by side: what they see, what the host has of them, and what is left when they end in different ways.
# files: two-guests/*.toml
# shellcheck disable=SC2317 # functions that check calls
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# mac VM IFNAME derives a MAC by the rule of the documentation.
mac() {
  echo "52$(printf '%s' "$1-$2" | sha1sum | cut -c 1-10 | sed 's/../:&/g')"
}

# interfaces VM prints the guest's interfaces but lo, each with its MAC.
interfaces() {
  # shellcheck disable=SC2016 # for the guest
  guest "$1" 'cd /sys/class/net; for i in *; do [ "$i" = lo ] || echo "$i $(cat "$i/address")"; done' | xargs
}

# upper VM prints the file system, and the serial of the disk, that the upper layer of / is on.
upper() {
  # shellcheck disable=SC2016 # for the guest
  guest "$1" '
    dir=$(findmnt --noheadings --output OPTIONS / | tr , "\n" | sed -n "s/^upperdir=//p")
    [ -d "$dir" ] || dir=$(find /run /sysroot -maxdepth 3 -name upper -type d 2>/dev/null | head -n 1)
    read -r source type <<<"$(findmnt --noheadings --output SOURCE,FSTYPE --target "$dir")"
    echo "$type $(cat "/sys/block/${source#/dev/}/serial")"'
}

# Where this machine has KVM, b may use it; but not all KVM runs a kernel.
[[ ! -e /sys/class/misc/kvm ]] || own_kvm

echo "a starts at boot, and b by hand"
check "the boot is over" same active "$(systemctl is-active multi-user.target)"
check "a does not hold it up" fails systemctl is-active vmsilo@a
check "both start" systemctl start vmsilo@a vmsilo@b
check "b was emulated, or KVM is fast" grep --quiet --extended-regexp 'emulating the processor|starting .* -accel kvm' \
  <(journalctl --boot --unit=vmsilo@b --output=cat)

for vm in a b; do
  check "$vm: its name" same "$vm" "$(guest $vm hostname)"
  check "$vm: / is an overlay" same overlay "$(guest $vm 'findmnt --noheadings --output FSTYPE /')"
  check "$vm: its upper layer" same "ext4 vmsilo-overlay" "$(upper $vm)"
  check "$vm: /home/user is a share" same "home virtiofs" \
    "$(guest $vm 'findmnt --noheadings --output SOURCE,FSTYPE /home/user' | xargs)"
  guest $vm "runuser -u user -- sh -c 'echo from $vm >/home/user/of-the-user'; echo root >/home/user/of-root; touch /root/x"
  check "$vm: what the user writes" same "from $vm" "$(cat /shared/$vm/of-the-user)"
done
check "a: interfaces and MACs" same "eth0 $(mac a eth0) wan-0.x 52:54:00:12:34:56" "$(interfaces a)"
check "b: interfaces and MACs" same "eth0 $(mac b eth0)" "$(interfaces b)"
check "a: the share is alice's" same "alice alice 700" "$(stat --format='%U %G %a' /shared/a)"
check "b: the share is bob's" same "bob bob 700" "$(stat --format='%U %G %a' /shared/b)"
check "a: files are alice's, root's too" same "alice alice" "$(stat --format=%U /shared/a/of-* | xargs)"
check "b: files are bob's, root's too" same "bob bob" "$(stat --format=%U /shared/b/of-* | xargs)"
check "b: the guest sees its own user" same "user user" "$(guest b 'stat --format=%U /home/user /home/user/of-the-user' | xargs)"
check "each has a machine-id of its own" same 2 \
  "$({ guest a 'cat /etc/machine-id'; guest b 'cat /etc/machine-id'; } | grep --extended-regexp '^[0-9a-f]{32}$' | sort --unique | wc --lines)"
check "a: the host's address" holds "$(ip -brief address show a-22)" 10.199.1.1/24

check "a: processes run as the VM's user" same vmsilo-a "$(ps --format=user:32= "$(systemctl show --property=MainPID --value vmsilo@a)")"
# sees COMMAND… runs it where the virtiofsd of a is: among its mounts, as its user.
sees() {
  local pid
  pid=$(systemctl show --property=MainPID --value vmsilo-share@a:home)
  nsenter --target "$pid" --mount setpriv --reuid=1000 --regid=1000 --clear-groups "$@"
}
check "a: virtiofsd sees its folder" same "from a" "$(sees cat /shared/a/of-the-user)"
check "a: and no other" same a "$(sees ls /shared)"
check "a: nor its user's home and session" fails sees ls /home/alice /run/user
check "a: nor may it write elsewhere" fails sees touch /shared/x /tmp/../home/x

check "a TAP is its VM's user's alone" same 70003 "$(cat /sys/class/net/a-22/owner)"
check "the units of a VM are in its slice" holds "$(systemctl show --property=ControlGroup vmsilo-vsock@a.service)" /vmsilo.slice/vmsilo-a.slice/

echo "reloading with the file of a changed, and then gone"
pids=$(pgrep --full 'qemu-system|virtiofsd|vhost-device' | xargs)
sed -i 's/id = 3/id = 33/' /etc/vmsilo/a.toml
systemctl daemon-reload
rm /etc/vmsilo/a.toml
systemctl daemon-reload
check "a reload disturbs nobody" same "$pids" "$(pgrep --full 'qemu-system|virtiofsd|vhost-device' | xargs)"
check "a goes on" same a "$(guest a hostname)"

echo "pausing b"
check "b is paused" vmsilo pause b
check "the list says so" becomes '^paused$' listed b
systemctl kill --signal=KILL vmsilo-vmm@b
check "what says so is killed" becomes '^1$' systemctl show --property=NRestarts --value vmsilo-vmm@b
check "and says so again" becomes '^paused$' listed b
check "b goes on" vmsilo resume b
check "the list says that" becomes '^running$' listed b
check "b answers" same b "$(guest b hostname)"

echo "stopping a"
check "a stops" systemctl stop vmsilo@a
check "a: nothing is left" nothing_left a
check "no part was dead after the reload" fails grep --ignore-case refusing <(journalctl --boot --output=cat)
check "a: ended by itself" fails grep --quiet 'the VM goes on' <(journalctl --boot --unit=vmsilo@a --output=cat)
check "b: never noticed" same b "$(guest b hostname)"

echo "killing the VMM of b"
systemctl kill --signal=KILL --kill-whom=main vmsilo@b
check "b: nothing is left" nothing_left b
check "b: failed" systemctl --quiet is-failed vmsilo@b
check "nothing is left of any VM" nothing_left

echo "starting b again over what a crash left"
mkdir -p /var/lib/vmsilo/b
echo left >/var/lib/vmsilo/b/ephemeral.qcow2
ip tuntap add dev b-22 mode tap user 70004
check "b starts again" systemctl start vmsilo@b
check "b: the share is as it was" same "from b" "$(guest b 'cat /home/user/of-the-user')"
check "b: the root is new" same "" "$(guest b 'ls /root')"

echo "killing the virtiofsd of b"
systemctl kill --signal=KILL --kill-whom=main vmsilo-share@b:home
check "b stops" becomes '^(inactive|failed)$' systemctl is-active vmsilo@b
check "b was stopped because of that" holds "$(journalctl --boot --unit=vmsilo-lost@b --output=cat)" "virtiofsd has died"
check "nothing is left" nothing_left
finish
