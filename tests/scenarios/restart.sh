#!/bin/bash
# How VMs end whose guest is a script: reboots, crashes, stops, each with somebody who wants them.
# host: --no-image --release=trixie
# needs: /dev/kvm
# shellcheck disable=SC2016,SC2317 # for another shell; functions that check calls
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# ask asks for the VM as alice, and prints what is answered.
ask() {
  echo a-b | setpriv --reuid=1000 --regid=1000 --clear-groups socat -t 60 - UNIX-CONNECT:/run/vmsilo.demand
}

# pid prints that of the VMM, or 0.
pid() { systemctl show --property=MainPID --value vmsilo@a-b; }

# another PID waits until the VM is up with another VMM.
another() {
  local try
  for try in {1..200}; do
    # In this order: one that is gone by now has no PID, and is active still.
    [[ $(pid) == "$1" || $(systemctl is-active vmsilo@a-b) != active ]] || return 0
    sleep 0.1
  done
  echo "after $try tenths of a second: $(systemctl is-active vmsilo@a-b), $(pid)"
  return 1
}

# idle waits until nobody is connected to the VM.
idle() {
  systemctl stop vmsilo-run@a-b.service && becomes '^active$' systemctl is-active vmsilo-idle@a-b.timer
}

# disk prints which ephemeral disk there is.
disk() { stat --format=%i:%W /var/lib/vmsilo/a-b/ephemeral.qcow2; }

door=vmsilo-run@a-b.socket

# The VMM is a script, and its helper looks for KVM all the same.
mknod --mode=660 /dev/kvm c 10 232
chgrp kvm /dev/kvm
# A VMM that is up at once, and reboots or ends when its VM's folder says so.
cat >/usr/bin/crosvm <<'END'
#!/bin/bash
folder=/run/vmsilo/a-b/vmm
case $* in
*powerbtn* | *stop*) exec touch $folder/end ;;
esac
[[ ! -e /srv/slow ]] || sleep 5
touch $folder/ready
until [[ -e $folder/end ]]; do
  [[ ! -e $folder/reboot ]] || exit 32
  sleep 0.1
done
END
chmod 755 /usr/bin/crosvm
mkdir /srv/image
touch /srv/image/{vmlinuz,initrd,root.erofs}
printf 'id = 3\nimage = "/srv/image"\nshared_home = false\nuser = "alice"\nidle_stop = "10m"\n' >/etc/vmsilo/a-b.toml
systemctl daemon-reload

echo "reboot"
check "it starts" same OK "$(ask)"
before=$(disk) vmm=$(pid)
touch /run/vmsilo/a-b/vmm/reboot
check "it is restarted" another "$vmm"
check "with another disk" fails same "$before" "$(disk)"
check "it can be connected to" same OK "$(ask)"
check "as before" same "alice 600" "$(stat --format='%U %a' /run/vmsilo/a-b.run)"
check "its idleness begins again" idle

echo "idleness"
# Somebody comes to the VM when it has been looked at, and found idle, and has to wait: the timer ends after another unit.
mkdir --parents /run/systemd/system/{"$door",vmsilo-idle@a-b.timer}.d
systemd-run --quiet --unit=slow --property=ExecStop='sleep 2' sleep infinity
printf '[Unit]\nBefore=slow.service\n' >/run/systemd/system/vmsilo-idle@a-b.timer.d/slow.conf
printf '[Socket]\nExecStopPre=systemctl stop --no-block slow.service\nExecStopPre=systemctl start --no-block vmsilo-run@a-b.service\n' \
  >"/run/systemd/system/$door.d/comes.conf"
systemctl daemon-reload
check "who comes meanwhile" systemctl start vmsilo-idle@a-b
check "is not cut off" becomes '^active active active$' systemctl is-active vmsilo@a-b "$door" vmsilo-run@a-b
rm --recursive /run/systemd/system/{"$door",vmsilo-idle@a-b.timer}.d
systemctl daemon-reload
check "nobody uses it" idle
systemctl start vmsilo-idle@a-b
check "it is stopped" await fails systemctl --quiet is-active vmsilo@a-b
check "nothing is left" nothing_left

echo "a socket that is not yet its user's"
mkdir "/run/systemd/system/$door.d"
printf '[Socket]\nExecStartPost=\nExecStartPost=sleep 3\nExecStartPost=chown alice /run/vmsilo/a-b.run\n' >"/run/systemd/system/$door.d/slow.conf"
systemctl daemon-reload
systemctl start vmsilo@a-b
check "is there" await test -S /run/vmsilo/a-b.run
check "and root's" same root "$(stat --format=%U /run/vmsilo/a-b.run)"
timeout 20 runuser --user=alice -- vmsilo run a-b true >/run/said 2>&1
check "its user waits for it" same 'alice' "$(stat --format=%U /run/vmsilo/a-b.run)"
check "and reaches the guest, which this one has not" holds "$(cat /run/said)" 'VM "a-b" cannot run it'
rm --recursive "/run/systemd/system/$door.d"
systemctl daemon-reload
systemctl stop vmsilo@a-b

echo "a systemd that goes on in a new process"
touch /srv/slow
ask >/run/said &
asked=$!
check "while the VM starts" becomes '^activating$' systemctl is-active vmsilo@a-b
systemctl daemon-reexec
wait "$asked"
check "who has asked is answered" same OK "$(cat /run/said)"
check "and it may be stopped" test -e /run/vmsilo/.on-demand/a-b
rm /srv/slow
systemctl restart vmsilo@a-b
check "which a start by hand ends" fails test -e /run/vmsilo/.on-demand/a-b
systemctl stop vmsilo@a-b
check "it starts again" same OK "$(ask)"

echo "crash"
since=$EPOCHREALTIME
kill -KILL "$(pid)"
check "nothing is left" nothing_left
check "it starts again" same OK "$(ask)"

echo "stop"
systemctl stop 'vmsilo-a\x2db.slice'
check "of the slice: nothing is left" nothing_left
check "no clean-up had to give way" fails grep 'contradicts existing jobs' <(journalctl --boot --output=cat --since="@$since")
check "it starts again" same OK "$(ask)"
systemctl stop --no-block vmsilo@a-b
check "who asks while it stops has it anew" same OK "$(ask)"
check "it is up" systemctl --quiet is-active vmsilo@a-b vmsilo-run@a-b.socket
systemctl stop vmsilo@a-b
check "nothing is left" nothing_left
finish
