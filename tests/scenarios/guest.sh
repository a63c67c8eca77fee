#!/bin/bash
# What the guest makes of its command line, seen from inside and from the host: names, network, shares, log, clock, disk.
# files: guest/full.toml
# again: --image=debian-12
# shellcheck disable=SC2317 # functions that check calls
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

if [[ -e /var/lib/vmsilo/images/debian-12 ]]; then
  sed -i '1i image = "debian-12"' /etc/vmsilo/full.toml
  systemctl daemon-reload
fi

# rewire EXPRESSION… changes the command line of the VMM by a drop-in, with sed.
rewire() {
  local line expressions
  line=$(systemctl cat vmsilo@full | grep '^ExecStart=' | tail -n 1)
  printf -v expressions '%s;' "$@"
  install --directory /etc/systemd/system/vmsilo@full.service.d
  printf '[Service]\nExecStart=\n%s\n' "$(sed "$expressions" <<<"$line")" >/etc/systemd/system/vmsilo@full.service.d/90-rewired.conf
  systemctl daemon-reload
}

# of_guest prints what the guest has said on its console.
of_guest() {
  journalctl --boot --unit=vmsilo@full --identifier=full-guest --output=cat --all
}

# qmp COMMAND tells the VMM something.
qmp() {
  printf '{"execute":"qmp_capabilities"}\n{"execute":"%s"}\n' "$1" |
    socat -t 1 - UNIX-CONNECT:/run/vmsilo/full/vmm/qmp.sock
}

install --directory --owner=alice /srv/docs '/srv/wo rk: 100%'
echo of the host >/srv/docs/file
install --directory /var/lib/vmsilo/home-template/.config
echo welcome >/var/lib/vmsilo/home-template/.config/greeting
# The kernel's own order of the interfaces is the other way round.
rewire 's/addr=0x10/addr=X/' 's/addr=0x11/addr=0x10/' 's/addr=X/addr=0x11/'
check "the VM starts, malformed parameters or not" systemctl start vmsilo@full
[[ $failures -eq 0 ]] || finish
sysctl --quiet net.ipv6.conf.full-22.disable_ipv6=0
ip -6 address add fd09::2/127 dev full-22 nodad

echo "names"
# shellcheck disable=SC2016 # for the guest
check "the kernel's eth0 is eth1, and the other way round" same "eth0 0000:00:11.0 eth1 0000:00:10.0" "$(guest full '
  for i in eth0 eth1; do echo "$i $(basename "$(realpath /sys/class/net/$i/device/..)")"; done' | xargs)"
for parameter in 'vmsilo.mtu: "12"' 'vmsilo.colour: not known' 'vmsilo.share: "/etc" is' 'vmsilo.name: given twice'; do
  check "reported: $parameter" holds "$(of_guest)" "kernel parameter $parameter"
done
check "each once" same 4 "$(of_guest | grep --count 'kernel parameter vmsilo')"
check "nothing failed" same 0 "$(guest full 'systemctl list-units --failed --plain --no-legend | wc -l')"

echo "network"
addresses=$(guest full 'ip -color=never -brief address' | tr --squeeze-repeats ' ')
check "eth0 has its addresses" holds "$addresses" " 10.9.0.3/31 fd09::3/127 fe80::"
check "eth1 has its own" holds "$addresses" " 10.9.1.2/24 fe80::"
check "none has a link-local one" grep --quiet --extended-regexp '^none UP fe80::[^ ]*/64 *$' <<<"$addresses"
check "no address of IPv6 had to wait" same 0 "$(guest full 'sort --unique /proc/sys/net/ipv6/conf/*/accept_dad')"
check "the TAP has the same" same 1400 "$(cat /sys/class/net/full-23/mtu)"
check "eth1 has its MTU" same 1400 "$(guest full 'cat /sys/class/net/eth1/mtu')"
routes=$(guest full 'ip -color=never route; ip -color=never -6 route' | tr --squeeze-repeats ' ')
check "the way out, IPv4" holds "$routes" "default via 10.9.0.2 dev eth0 proto static metric 1024"
check "the way out, IPv6" holds "$routes" "default via fd09::2 dev eth0 proto static metric 1024"
check "a gateway outside the networks" holds "$routes" "default via 192.0.2.1 dev eth1 proto static metric 1025 onlink"
socat -u UDP-RECVFROM:53,bind=10.9.0.2 OPEN:/root/query,creat &
socat -u TCP6-LISTEN:7,bind='[fd09::2]' OPEN:/root/greeting,creat &
listens() { [[ -n $(ss --no-header --listening --tcp src '[fd09::2]:7') && -n $(ss --no-header --udp --all src 10.9.0.2:53) ]]; }
check "the host listens" await listens
guest full 'timeout 5 getent hosts probe.example; echo hello >/dev/tcp/fd09::2/7' >/dev/null
check "a name is asked of the name server" await grep --quiet --text probe /root/query
check "the host hears the guest over IPv6" becomes '^hello$' cat /root/greeting
check "nobody asks for an address, or waits for the network" same inactive \
  "$(guest full 'systemctl is-active network-online.target')"

echo "shares"
check "a new home begins with the template" same welcome "$(guest full 'runuser -u user -- cat /home/user/.config/greeting')"
check "and is the user's alone" same "alice 700 alice 755" \
  "$(stat --format='%U %a' /shared/full /shared/full/.config | xargs)"
mounts=$(guest full 'findmnt --noheadings --raw --type virtiofs --output SOURCE,TARGET,OPTIONS')
check "one below the home" holds "$mounts" "work /home/user/project rw,nosuid,nodev"
check "one read-only, with a blank" holds "$mounts" 'docs /srv/my\x20docs ro,nosuid,nodev'
check "the host's file is there" same "of the host" "$(guest full "cat '/srv/my docs/file'")"
check "the user writes below the home" guest full "runuser -u user -- sh -c 'echo of the guest >/home/user/project/file'"
check "the host has it" same "of the guest" "$(cat '/srv/wo rk: 100%/file')"
check "the file is alice's there" same "alice" "$(stat --format=%U '/srv/wo rk: 100%/file')"
check "root of the guest writes there, too" guest full 'echo x >/home/user/project/roots'
check "and gains nothing by it" fails guest full 'chmod u+s /home/user/project/roots'
check "on the host that is alice's" same "alice" "$(stat --format=%U '/srv/wo rk: 100%/roots')"
check "the read-only one stays so" fails guest full "mount -o remount,rw '/srv/my docs' && echo x >'/srv/my docs/file'"
check "on the host, too" same "of the host" "$(cat /srv/docs/file)"
check "a folder of the system stays as it is" guest full 'test -e /etc/passwd'
# shellcheck disable=SC2016 # for the guest
check "they come before users and before READY" guest full '
  at() { systemctl --no-pager show --property="$2" --value "$1"; }
  users=$(at systemd-user-sessions.service ActiveEnterTimestampMonotonic) ready=$(at vmsilo-ready.service ExecMainStartTimestampMonotonic)
  for mount in home-user.mount home-user-project.mount "srv-my\\x20docs.mount"; do
    up=$(at "$mount" ActiveEnterTimestampMonotonic)
    echo "$mount $up, users $users, ready $ready"
    [ "$up" -gt 0 ] && [ "$up" -lt "$users" ] && [ "$up" -lt "$ready" ] || exit 1
  done'

echo "identity"
id=$(guest full 'cat /etc/machine-id')
check "a machine-id of this boot" grep --quiet --extended-regexp '^[0-9a-f]{32}$' <<<"$id"
check "no ssh keys from the image" guest full '! ls /etc/ssh/ssh_host_*'

echo "programs"
# shellcheck disable=SC2016 # for the guest
session=$(vmsilo run full sh -c 'id -un; cat /proc/self/cgroup; echo "$XDG_RUNTIME_DIR"; loginctl show-session "$XDG_SESSION_ID"')
check "in a login session of the user" holds "$session" user /session- .scope/run- /run/user/1000 Service=login Class=user
got=0
vmsilo run full sh -c 'setsid sleep 1000 & exit 7' || got=$?
check "a program's status" same 7 "$got"
check "what it leaves running is ended" fails guest full 'pgrep --full "^sleep 1000"'
vmsilo run full sh -c 'setsid sleep 1000 & exec sleep 1000' 2>/run/killed-agent &
client=$!
# shellcheck disable=SC2016 # for the guest
check "the agent is killed" guest full '
  until [ "$(pgrep --count --full "^sleep 1000")" -eq 2 ]; do sleep 0.1; done
  pkill --exact --signal KILL vmsilo-agent; sleep 1'
gone() { same 0 "$(guest full 'pgrep --count --full "^sleep 1000"')"; }
check "a second later its programs are gone, too" soon gone
wait "$client"
check "the next one runs" same again "$(vmsilo run full echo again)"
# shellcheck disable=SC2016 # for the guest
guest full 'systemctl stop vmsilo-agent.service; mkdir -p /run/systemd/system/vmsilo-agent.service.d
  printf "[Service]\nExecStartPre=+/bin/sh -c \"echo >>/run/starts; [ \$\$(wc --lines </run/starts) -gt 6 ]\"\n" >/run/systemd/system/vmsilo-agent.service.d/fails.conf
  systemctl daemon-reload'
check "an agent that fails to start six times is started again" same late "$(timeout 120 vmsilo run full echo late)"
guest full 'systemctl stop vmsilo-agent.service; rm -r /run/systemd/system/vmsilo-agent.service.d; systemctl daemon-reload'
check "a megabyte each way" same "$(head -c 1M /dev/zero | sha256sum)" "$(head -c 1M /dev/zero | vmsilo run full cat | sha256sum)"

echo "log"
guest full "logger of-the-guest; printf '<0>fell\n<38>Jan 1 00:00:00 sshd[1]: let in\n' >/dev/console"
heard() { local log && log=$(of_guest) && [[ $log == *of-the-guest* && $log == *'let in'* ]]; }
check "messages of the guest" await heard
check "none has another level, or another name" same "6 full-guest" \
  "$(journalctl --boot --unit=vmsilo@full --output=json --grep='fell|let in|of-the-guest' |
    jq --raw-output '"\(.PRIORITY) \(.SYSLOG_IDENTIFIER)"' | sort --unique)"

echo "the other console"
hvc() { { sleep 1 && echo && echo tty && sleep 3; } | timeout 20 socat - UNIX-CONNECT:/run/vmsilo/full/vmm/hvc.sock; }
is_hvc() { holds "$(hvc)" /dev/hvc0; }
check "has a shell" await is_hvc

echo "clock"
check "chrony has nothing to do here" same inactive "$(guest full 'systemctl is-active chrony')"
# shellcheck disable=SC2016 # for the guest
check "its file and its rule are right" guest full \
  'chronyd -p -f /usr/lib/vmsilo/chrony.conf && {
    [ "$(udevadm --version)" -lt 254 ] || udevadm verify /usr/lib/udev/rules.d/70-vmsilo-{ptp,console}.rules; }'
# shellcheck disable=SC2016 # for the guest
guest full 'setsid bash -c "while sleep 0.1; do echo clock \$EPOCHREALTIME; done" >/dev/console 2>&1 </dev/null &'
sleep 2
qmp stop >/dev/null
sleep 15
paused=$EPOCHREALTIME
qmp cont >/dev/null
sleep 6
# Host's time since the pause, and how far the guest was off, of every line that came after it. On a busy machine some lines are
# late: of each second the one counts that was least so.
journalctl --boot --identifier=full-guest --output=json --grep='^clock' | jq --raw-output --arg paused "$paused" '
  (.__REALTIME_TIMESTAMP | tonumber / 1e6) as $now | (.MESSAGE[6:] | tonumber) as $guest |
  select($now > ($paused | tonumber)) | "\($now - ($paused | tonumber)) \($now - $guest)"' >/root/clock
behind=$(of_guest | sed -n "s/.*the clock was \([0-9]*\)\.[0-9] s behind the host's, and is set.*/\1/p" | sort --numeric-sort | tail -n 1)
check "the guest's clock stood still" test "$behind" -ge 14
# shellcheck disable=SC2016 # for awk
check "after a second it is right, and stays so" awk '
  $1 > 1 { seen++; s = int($1); if (!(s in off) || $2 ^ 2 < off[s] ^ 2) off[s] = $2 }
  END { for (s in off) if (off[s] > 1 || off[s] < -1) { print s " s after it, it is off by " off[s] " s"; bad = 1 }; exit bad || seen < 20 }' /root/clock
awk '$2 < 1 { print "it was right after " $1 " s"; exit } { next }' /root/clock
guest full "pkill --full 'echo clock'"
# Of two emulated processors on a machine that may be busy.
before=$(guest full 'systemctl --no-pager show --property=CPUUsageNSec --value vmsilo-clock')
sleep 10
used=$((($(guest full 'systemctl --no-pager show --property=CPUUsageNSec --value vmsilo-clock') - before) / 1000000))
check "following costs little: $used ms in 10 s" test "$used" -le 500

echo "flood"
guest full 'yes flood | head -n 20000 >/dev/console'
sleep 1
check "the journal does not take all" test "$(of_guest | grep --count flood)" -lt 15000
# What was dropped is counted when the next line is taken.
sleep 10
guest full 'logger after the flood'
check "the journal says so" becomes 'Suppressed [0-9]+ messages from vmsilo@full' journalctl --boot --identifier=systemd-journald --output=cat
check "the guest goes on" same full "$(guest full hostname)"

echo "disk"
# allocated prints what the overlay takes of the host's disk, in MiB.
allocated() {
  echo $(($(stat --format='%b * %B' /var/lib/vmsilo/full/ephemeral.qcow2) >> 20))
}
before=$(allocated)
# shellcheck disable=SC2016 # for the guest
guest full 'yes | head -c 64M >/dev/shm/part; for i in {1..16}; do cat /dev/shm/part >>/var/big; sync /var/big; echo "$i"; done' >/dev/null
check "1 GiB is there: $before MiB and then $(allocated)" test "$(allocated)" -ge $((before + 900))
guest full 'rm /var/big; sync; sync'
returned() { [[ $(allocated) -le $((before + 50)) ]]; }
await returned
check "it returns to the host: $(allocated) MiB" test "$(allocated)" -le $((before + 50))
check "the VM stops" systemctl stop vmsilo@full
check "nothing is left" nothing_left full
finish
