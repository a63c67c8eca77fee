#!/bin/bash
# Whoever may asks the host for a VM, and idleness stops it; the console beside it.
# files: on-demand/*.toml
# Much is shell for the guest, and some functions are called by name.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# by UID[:GROUP] COMMAND… runs it as that user, with that group besides.
by() {
  local groups=(--clear-groups)
  [[ $1 != *:* ]] || groups=("--groups=${1#*:}")
  setpriv --reuid="${1%:*}" --regid="${1%:*}" "${groups[@]}" "${@:2}"
}

# ask UID[:GROUP] NAME asks for a VM as that user, and prints what is answered.
ask() {
  printf '%b\n' "$2" | by "$1" socat -t 300 - UNIX-CONNECT:/run/vmsilo.demand
}

# connect UID VM connects as that user, and prints what the other side says until one of them ends.
connect() {
  exec setpriv --reuid="$1" --regid="$1" --clear-groups socat -u "UNIX-CONNECT:/run/vmsilo/$2.run" -
}

# greets FILE waits until the guest is reached.
greets() {
  local try
  for try in {1..1200}; do
    [[ $(cat "$1") != OK ]] || return 0
    sleep 0.1
  done
  echo "after $try tenths of a second: $(cat "$1")"
  return 1
}

# brokers prints what leads to guests, of any VM.
brokers() { pgrep --list-full 'vmsilo-(run|deman|consol)'; }

# console COMMAND ANSWER types it on the console of a as alice, and prints what is there until the answer is, or that there is none.
console() {
  : >/run/typed
  {
    sleep 1
    printf '\n%s\n' "$1"
    for _ in {1..300}; do
      ! grep --quiet -e "$2" -e ' already$' /run/typed || break
      sleep 0.1
    done
  } | by 1000 socat -t 0 - UNIX-CONNECT:/run/vmsilo/a.console | tee /run/typed
}

echo "nothing for a VM that does not run"
check "the host listens from the boot on" systemctl --quiet is-active vmsilo-demand.socket
check "everybody may ask" same "root 666" "$(stat --format='%U %a' /run/vmsilo.demand)"
systemctl daemon-reload
check "of no VM is anything loaded" same "" "$(systemctl list-units --all --plain --no-legend 'vmsilo*@*' | grep -v vmsilo-demand@)"
check "nor is a socket there" same "" "$(find /run/vmsilo -mindepth 1)"
sed 's/id = 5/id = 6/; s/alice/nobody-here/' /etc/vmsilo/broken.toml >/etc/vmsilo/late.toml
printf 'id = 7\nmemroy = "1G"\n' >/etc/vmsilo/wrong.toml
systemctl daemon-reload

echo "who may ask, and for what"
vmsilo=$(getent group vmsilo | cut -d : -f 3)
check "bob may not start alice's" same 'VM "broken" belongs to user alice: only that user, root and group vmsilo start it' "$(ask 1001 broken)"
check "none of that starts anything" fails systemctl is-active vmsilo@broken vmsilo-user@broken
not_started='VM "broken" could not be started: the start of vmsilo@broken.service has ended as "dependency"; to see why: vmsilo why broken'
for who in 1000 0 "1001:$vmsilo" "1001:44,$vmsilo"; do check "$who may, and hears why not" same "$not_started" "$(ask "$who" broken)"; done
check "a user who is not there is nobody" same 'VM "late" belongs to user nobody-here: only that user, root and group vmsilo start it' "$(ask 1000 late)"
check "a member of the group starts that, too" holds "$(ask "1001:$vmsilo" late)" 'VM "late" could not be started'
for name in nosuch wrong; do
  check "there is no $name" same "systemd knows no VM \"$name\", or its file is wrong; to see why: vmsilo why $name" "$(ask 0 $name)"
done
check "no name" same 'no VM is named ""' "$(ask 0 '')"
check "nasty names" same 'no VM is named "../../x"
no VM is named "a\x1b[2J"
no VM is named "a*"
no VM is named "a.service"
no VM has a name that begins with "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"' \
  "$(for name in ../../x 'a\e[2J' 'a*' a.service "$(printf 'x%.0s' {1..5000})"; do ask 0 "$name"; done)"
check "nobody is listed for any of that" same "" "$(systemctl list-units --failed --plain --no-legend 'vmsilo-demand@*')"

echo "many who ask"
for i in {1..40}; do ask 1000 broken >"/run/refused-$i" & done
wait
check "everybody is answered" same 40 "$(cat /run/refused-* | grep --count --line-regexp --fixed-strings "$not_started")"
for _ in {1..300}; do
  by 1001 socat -u UNIX-CONNECT:/run/vmsilo.demand - >/dev/null 2>&1 &
done
check "300 of bob's who say nothing keep alice from nothing" same "$not_started" "$(ask 1000 broken)"
check "they are not waited for" timeout 60 bash -c 'while pgrep --exact --uid 1001 socat; do sleep 0.2; done'
check "the socket goes on" same "$not_started" "$(ask 1000 broken)"
check "nothing is left" nothing_left

echo "asking starts the VM"
before=$EPOCHSECONDS
# b needs a.
ask 1000 b >/dev/null &
check "it is starting" becomes "^activating$" systemctl is-active vmsilo@a
pkill --exact --uid 1000 socat
check "nobody is connected to what is not up" fails test -e /run/vmsilo/a.run
systemctl daemon-reload
check "another waits with it" same OK "$(ask 1000 a)"
check "whoever wants the one that needs it has that" same OK "$(ask 1000 b)"
check "it is up, $((EPOCHSECONDS - before)) s after the first asked, who has left" systemctl --quiet is-active vmsilo@a.service
check "its socket is its user's alone" same "alice 600" "$(stat --format='%U %a' /run/vmsilo/a.run)"
check "in the VM's slice" same "vmsilo-a.slice vmsilo-a.slice" "$(systemctl show --property=Slice --value vmsilo-run@a.socket vmsilo-run@a.service | xargs)"
check "the marks are there, for a that nobody had asked for, too" test -e /run/vmsilo/.on-demand/a -a -e /run/vmsilo/.on-demand/b
check "without a connection its idleness begins" becomes "^active$" systemctl is-active vmsilo-idle@a.timer
check "who asks ends that" same OK "$(ask 1000 a)"
check "no clock runs" fails systemctl is-active vmsilo-idle@a.timer
runuser --user=alice -- vmsilo run a sh -c 'echo OK; sleep 1000' >/run/said &
client=$!
check "a program runs" greets /run/said
check "the broker is the VM's own user" same vmsilo-a "$(stat --format=%U "/proc/$(systemctl show --property=MainPID --value vmsilo-run@a)")"
check "bob may not connect" holds "$(connect 1001 a 2>&1)" "Permission denied"
for i in {1..300}; do connect 1000 a >"/run/many-$i" 2>/dev/null & done
sleep 1
for i in {1..300}; do greets "/run/many-$i" || break; done >/run/late
check "300 more are led to it" same "" "$(cat /run/late)"
jobs -p | grep --invert-match --line-regexp "$client" | xargs kill 2>/dev/null

echo "the console"
check "alice has root's shell" holds "$(console 'echo of-$((6*7)) $USER' of-42)" "of-42 root"
check "the journal has it" grep --quiet 'of-42 root' <(journalctl --boot --identifier=a-console --output=cat)
check "without escapes" fails grep --quiet $'\e' <(journalctl --boot --identifier=a-console --output=cat --all)
exec 7> >(by 1000 socat -t 0 - UNIX-CONNECT:/run/vmsilo/a.console >/run/attached)
first=$!
echo >&7
check "somebody is attached" await test -s /run/attached
check "one at a time" same 'somebody is attached to the console of VM "a" already' \
  "$(by 1000 timeout 20 socat -u UNIX-CONNECT:/run/vmsilo/a.console -)"
check "bob may not" holds "$(by 1001 socat -u UNIX-CONNECT:/run/vmsilo/a.console - 2>&1)" "Permission denied"
exec 7>&-
wait "$first"
answers() { holds "$(console 'echo again-$((6*7))' again-42)" again-42; }
check "a console that is left is another's" await answers

echo "idleness"
check "with a connection the VM goes on" systemctl --quiet is-active vmsilo@a
pkill --exact --uid 1000 vmsilo
wait "$client"
sleep 16
check "a is idle, and goes on" systemctl --quiet is-active vmsilo@a vmsilo-idle@a.timer
# What finds that a is needed is there for a moment.
check "nothing of a's runs but devices" await fails pgrep --list-full --full 'vmsilo-(run|demand|console) .*\ba\b'
check "b, which has no idle_stop, has a clock that never comes" same infinity "$(systemctl show --property=NextElapseUSecMonotonic --value vmsilo-idle@b.timer)"
connect 1000 a >/run/said &
check "somebody comes" greets /run/said
systemctl stop vmsilo@b
left=$EPOCHSECONDS
pkill --exact --uid 1000 socat
check "without b it stops" becomes "^inactive$" systemctl is-active vmsilo@a
stopping=$(journalctl --boot --unit=vmsilo@a --grep='^Stopping' --output=short-unix | tail -n 1 | cut -d . -f 1)
check "from their end on its whole idle_stop (12 s) counts: $((stopping - left)) s" test $((stopping - left)) -ge 12
check "because of that" holds "$(journalctl --boot --unit=vmsilo-idle@a --output=cat)" "stopping VM a"
check "nothing is left" nothing_left
check "nobody waits for anything" await fails brokers

echo "by hand"
systemctl start vmsilo@a
check "its socket is there, and its user's" becomes '^active$' systemctl is-active vmsilo-run@a.socket
(connect 1000 a) >/run/said &
check "a connection to it" greets /run/said
pkill --exact --uid 1000 socat
sleep 20
check "does not have it stopped" systemctl --quiet is-active vmsilo@a
check "the broker has left" fails brokers
connect 1000 a >/run/said &
check "another" greets /run/said
systemctl stop --no-block vmsilo@a
check "who wants it while it stops waits for its end, and has it anew" same again "$(runuser --user=alice -- vmsilo run a echo again)"
check "that is another run" same 2 "$(journalctl --boot --unit=vmsilo@a --output=cat --since="@$before" --grep='^Stopped' | wc --lines)"
connect 1000 a >/run/said &
check "one more" greets /run/said
check "the VM stops" systemctl stop vmsilo@a
check "nothing is left" nothing_left
check "no clock is started and stopped at a time" same "" "$(journalctl --boot --output=cat --grep='contradicts.*vmsilo-idle@')"
finish
