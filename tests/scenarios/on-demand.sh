#!/bin/bash
# A connection starts a VM, and idleness stops it; the console beside it.
# files: on-demand/*.toml
# Much is shell for the guest, and some functions are called by name.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# connect UID VM connects as that user, and prints what the other side says until one of them ends.
connect() {
  exec setpriv --reuid="$1" --regid="$1" --clear-groups socat -u "UNIX-CONNECT:/run/vmsilo/$2.run" -
}

# refused VM prints what is said in the guest's place, without the bytes of the frame around it.
refused() {
  (connect 1000 "$1") | tr --delete '\000-\011\013-\037\175\200-\377'
}

# becomes STATE UNIT SECONDS waits until the unit has that state.
becomes() {
  local deadline=$((EPOCHSECONDS + $3))
  until [[ $(systemctl is-active "$2") == "$1" ]]; do
    [[ $EPOCHSECONDS -lt $deadline ]] || { echo "$2: $(systemctl is-active "$2")" && return 1; }
    sleep 0.1
  done
}

# greets FILE waits until the guest's greeting is there.
greets() {
  local try
  for try in {1..100}; do
    [[ $(cat "$1") != vmsilo1 ]] || return 0
    sleep 0.1
  done
  echo "after $try tenths of a second: $(cat "$1")"
  return 1
}

# relays prints what carries connections, of any VM.
relays() { pgrep --list-full 'vmsilo-(relay|deman|consol)'; }

# enters COMMAND… runs it as the relay of a: its user, its group.
enters() {
  local pid
  pid=$(systemctl show --property=MainPID --value vmsilo-run@a.service)
  nsenter --target "$pid" --mount setpriv --reuid="$(stat --format=%u "/proc/$pid")" --regid="$(stat --format=%g "/proc/$pid")" \
    --groups="$(getent group vmsilo-relay | cut -d : -f 3)" "$@"
}

# console COMMAND types it on the console of a as alice, and prints what is there three seconds later.
console() {
  { sleep 1; printf '\n%s\n' "$1"; sleep 3; } |
    setpriv --reuid=1000 --regid=1000 --clear-groups socat -t 0 - UNIX-CONNECT:/run/vmsilo/a.console
}

echo "sockets"
for vm in a b broken; do check "$vm: there from the boot on" systemctl --quiet is-active vmsilo-run@$vm.socket; done
check "each is its VM's user's alone" same "alice 600" "$(stat --format='%U %a' /run/vmsilo/a.run)"
check "in no VM's slice" same vmsilo.slice "$(systemctl show --property=Slice --value vmsilo-run@a.socket)"
check "bob may not open it" fails bash -c "$(declare -f connect); connect 1001 a"
check "nothing runs because of that" fails systemctl is-active vmsilo@a vmsilo-run@a.service
sed 's/id = 5/id = 6/; s/alice/nobody-here/' /etc/vmsilo/broken.toml >/etc/vmsilo/late.toml
printf 'id = 7\nmemroy = "1G"\n' >/etc/vmsilo/wrong.toml
systemctl daemon-reload
check "a reload brings that of a new VM" becomes active vmsilo-run@late.socket 5
check "whose user is not there: root's" same "root 600" "$(stat --format='%U %a' /run/vmsilo/late.run)"
check "none of a VM whose file is wrong" fails systemctl is-active vmsilo-run@wrong.socket

echo "a VM that cannot start"
check "says so in the guest's place" same "vmsilo1
VM broken could not be started" "$(refused broken)"
for i in {1..40}; do refused broken >"/run/refused-$i" & done
wait
check "to everybody" same 40 "$(cat /run/refused-* | grep --count 'VM broken could not be started')"
check "the socket goes on" systemctl --quiet is-active vmsilo-run@broken.socket
check "nothing is left" nothing_left broken

echo "a connection starts the VM"
before=$EPOCHSECONDS
connect 1000 a >/run/said &
client=$!
check "it is starting" becomes activating vmsilo@a.service 5
systemctl daemon-reload
check "it is up" becomes active vmsilo@a.service 90
check "the guest answers, $((EPOCHSECONDS - before)) s after the start" greets /run/said
check "the mark is there" test -e /run/vmsilo/a/on-demand
check "no clock runs" fails systemctl is-active vmsilo-idle@a.timer
check "the relay reaches the device" enters socat -u OPEN:/dev/null UNIX-CONNECT:/run/vmsilo/a/vsock/host.sock
for socket in vsock/host.sock_5001 vhost/vhost.sock vmm/qmp.sock; do
  check "and not $socket" fails enters socat -u OPEN:/dev/null "UNIX-CONNECT:/run/vmsilo/a/$socket"
done
check "nor may it write there" fails enters touch /run/vmsilo/a/vsock/x
check "nor look" fails enters ls /run/vmsilo/a/vsock
for i in {1..300}; do connect 1000 a >"/run/many-$i" 2>/dev/null & done
sleep 1
for i in {1..300}; do greets "/run/many-$i" || break; done >/run/late
check "300 more are carried" same "" "$(cat /run/late)"
jobs -p | grep --invert-match --line-regexp "$client" | xargs kill 2>/dev/null

echo "the console"
check "alice has root's shell" holds "$(console 'echo of-$((6*7)) $USER')" "of-42 root"
check "the journal has it" grep --quiet 'of-42 root' <(journalctl --boot --identifier=a-console --output=cat)
check "without escapes" fails grep --quiet $'\e' <(journalctl --boot --identifier=a-console --output=cat --all)
console true >/dev/null &
first=$!
sleep 0.5
check "one at a time" same "somebody is attached to the console of VM a already" "$(console true 2>/dev/null)"
check "bob may not" fails setpriv --reuid=1001 --regid=1001 --clear-groups socat -u UNIX-CONNECT:/run/vmsilo/a.console -
wait "$first"
check "a console that is left is another's" holds "$(console 'echo again-$((6*7))')" again-42

echo "idleness"
check "with a connection the VM goes on" systemctl --quiet is-active vmsilo@a
connect 1000 b >/run/said-b &
other=$!
kill "$client"
check "b, which needs a, is up" becomes active vmsilo@b.service 90
check "a is idle, and goes on" systemctl --quiet is-active vmsilo@a vmsilo-idle@a.timer
check "nothing of a's runs but devices" fails pgrep --list-full --full 'vmsilo-(relay|demand|console) .*\ba\b'
kill "$other"
systemctl stop vmsilo@b
check "without b it stops" becomes inactive vmsilo@a.service 45
check "because of that" holds "$(journalctl --boot --unit=vmsilo-idle@a --output=cat)" "stopping VM a"
check "nothing is left" nothing_left
check "nobody waits for anything" fails relays

echo "by hand"
systemctl start vmsilo@a
(connect 1000 a) >/run/said &
check "a connection to it" greets /run/said
pkill --uid 1000 socat
sleep 15
check "does not have it stopped" systemctl --quiet is-active vmsilo@a
check "the relay has left" fails relays
connect 1000 a >/run/said &
check "another" greets /run/said
check "the VM stops" systemctl stop vmsilo@a
check "nothing is left" nothing_left
check "the socket is" test -S /run/vmsilo/a.run
finish
