#!/bin/bash
# Programs in a guest: started on demand, with pipes and terminals, many at once, and what is left of them.
# files: run/*.toml
# Much is shell for the guest, and some functions are called by name.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# as USER COMMAND… runs it as that person, in their home.
as() {
  runuser -u "$1" -- env --chdir="/home/$1" TERM=xterm "${@:2}"
}

run() { as alice vmsilo run "$@"; }

# ends STATUS COMMAND… succeeds when the command ends with that status; said prints what it has printed.
ends() {
  local got=0
  "${@:2}" >/run/said 2>&1 || got=$?
  [[ $got -eq $1 ]] || { echo "status $got, not $1: $(said)" && return 1; }
}

said() { cat /run/said; }

# screen prints what a terminal of tmux shows.
screen() { tmux capture-pane -p -t "$1"; }

# shows NAME TEXT… waits until the terminal shows each text.
shows() {
  local try
  for try in {1..1200}; do
    ! holds "$(screen "$1")" "${@:2}" >/dev/null || return 0
    sleep 0.1
  done
  echo "after $try tenths of a second: $(screen "$1")"
  return 1
}

# terminal NAME COMMAND… runs it as alice in a real terminal of 100 columns and 30 rows.
terminal() {
  tmux new-session -d -s "$1" -x 100 -y 30 "runuser -u alice -- env --chdir=/home/alice TERM=screen bash --norc -c '${*:2}; echo status=\$?; read'"
}

# programs prints what the guest has of programs: processes, control groups with some in them, and all groups but one,
# which the agent has ready for the next program.
programs() {
  guest a 'cd /sys/fs/cgroup/user.slice/user-1000.slice
grep --files-with-matches "populated 1" session-*.scope/run-*/cgroup.events 2>/dev/null
ls -d session-*.scope/run-* 2>/dev/null | tail -n +2
pgrep --list-full "^(sleep|yes|cat)$"'
}

export LANG=C.UTF-8

echo "refused"
# Menus are made at the boot.
check "nothing runs for a VM that nobody has asked for" same "" "$(pgrep --list-full vmsilo- | grep --invert-match vmsilo-menus)"
check "a name that nobody has" ends 125 run nosuch true
check "says so" holds "$(said)" 'vmsilo: error: ' nosuch 'there are: a, bad'
check "a VM whose file is wrong" ends 125 run bad true
check "shows the file" holds "$(said)" '/etc/vmsilo/bad.toml:2:1' 'unknown key "memroy"'
check "somebody else's VM" ends 125 as bob vmsilo run a true
check "says whose it is" holds "$(said)" alice
check "none of that has started anything" same inactive "$(systemctl is-active vmsilo@a)"

# Another VM, to which nothing of what follows happens.
tiny_image /srv/tiny
printf 'id = 6\nhypervisor = "qemu"\nimage = "/srv/tiny"\nmemory = "64M"\ncpus = 1\n' >/etc/vmsilo/beside.toml
systemctl daemon-reload
check "another VM starts" tiny_start beside
beside=$(systemctl show --property=MainPID,NRestarts,ActiveState vmsilo@beside)

echo "on demand: a hundred at once, of whom the host takes 64 at a time, and one in a terminal"
mkdir /run/hundred
for i in {1..100}; do
  run a sh -c "cat; echo $i; exit $i" <<<"to $i" >"/run/hundred/$i" 2>&1 || echo $? >>"/run/hundred/$i" &
done
terminal first vmsilo run a id -un
check "the terminal says what is waited for" shows first "starting a: "
wait
check "all outputs and statuses are right" same "" \
  "$(for i in {1..100}; do [[ $(xargs <"/run/hundred/$i") == "to $i $i $i" ]] || echo "$i: $(cat "/run/hundred/$i")"; done)"
check "the program has run" shows first user status=0
check "the wait has left no trace" fails holds "$(screen first)" "starting a"
check "the VM is up" same active "$(systemctl is-active vmsilo@a)"
tmux kill-session -t first
counted=null
! grep --quiet --word-regexp memory /sys/fs/cgroup/cgroup.controllers || counted=number
check "the list has it, with its memory where that is counted ($counted)" same "running $counted" \
  "$(as bob vmsilo list --json | jq --raw-output '.[] | select(.name == "a") | "\(.state) \(.memory | type)"')"

echo "an image without the Wayland proxy that it is to run"
missing='vmsilo.wayland_proxy: there is no sommelier in /usr/local/bin or /usr/bin of this image'
check "the host's journal says so" holds "$(journalctl -u vmsilo@a)" "$missing"
check "and the guest's" holds "$(guest a 'journalctl --boot --no-pager --quiet | grep sommelier')" "$missing"
check "programs have no display" ends 1 run a printenv WAYLAND_DISPLAY DISPLAY

echo "pipes and statuses"
check "output apart" same "out" "$(run a sh -c 'echo out; echo err >&2' 2>/dev/null)"
check "output apart, the other" same "err" "$(run a sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)"
check "arguments as they are" same "<a b><><\$HOME><-l>" "$(run a printf '<%s>' 'a b' '' "\$HOME" -l)"
check "input" same "3 6" "$(printf 'a\nb\nc\n' | run a wc --lines --bytes | xargs)"
check "no input" same 0 "$(run a wc --bytes </dev/null)"
check "a variable and a folder" same "/tmp blue" "$(run --env=COLOR=blue --directory=/tmp a sh -c 'echo "$PWD $COLOR"')"
for status in 0 1 7 255; do check "status $status" ends "$status" run a sh -c "exit $status"; done
check "killed: 128 and the signal" ends 137 run a sh -c "kill -KILL \$\$"
check "no such program: 127" ends 127 run a no-such-program
check "says so" holds "$(said)" "vmsilo: error: no-such-program: command not found"
check "not executable: 126" ends 126 run a /etc/passwd
check "no such folder: 125" ends 125 run --directory=/nowhere a true
check "64 MiB there and back" same "$(head -c 64M /dev/zero | tr '\0' x | sha256sum)" "$(head -c 64M /dev/zero | tr '\0' x | run a cat | sha256sum)"
check "a pipe that closes ends it" ends 0 bash -c "set -o pipefail; $(declare -f run as); { run a yes || [[ \$? -eq 141 ]]; } | head -n 1"

echo "session"
session=$(run a sh -c 'env; cat /proc/self/cgroup; echo audit $(cat /proc/self/loginuid); loginctl show-session $XDG_SESSION_ID; systemctl --user is-system-running; busctl --user status >/dev/null && echo bus')
check "of logind, with PAM" holds "$session" XDG_RUNTIME_DIR=/run/user/1000 Class=user Service=login State=active running bus
check "the program is in its scope" grep --quiet '^0::/user.slice/user-1000.slice/session-[0-9]*.scope/run-[0-9]*$' <<<"$session"
check "the audit identity" grep --quiet '^audit 1000$' <<<"$session"
check "nothing of the service shows" fails grep --extended-regexp '^(LISTEN|INVOCATION|JOURNAL|NOTIFY|TERM=)' <<<"$session"
check "no capability" same "Inh Prm Eff Amb" "$(run a sed -n 's/^Cap\(Inh\|Prm\|Eff\|Amb\):[[:space:]]*0*$/\1/p' /proc/self/status | xargs)"

echo "terminals"
check "none without -t" same "not a tty" "$(run a tty)"
check "one with -t, also in a script" holds "$(run -t a tty </dev/null)" /dev/pts/
terminal size "vmsilo run -t a sh -c \"trap \\\"stty size\\\" WINCH; stty size; while :; do sleep 0.2; done\""
check "its size" shows size "30 100"
tmux resize-window -t size -x 77 -y 22
check "its new size" shows size "22 77"
tmux send-keys -t size C-c
check "Ctrl-C ends the program" shows size status=130
tmux kill-session -t size
terminal shell vmsilo shell a
check "a shell has a prompt" shows shell 'user@a:~$'
tmux send-keys -t shell 'shopt -q login_shell && echo log""in; echo $TERM; tty' Enter
check "it is a login shell in a terminal" shows shell login screen /dev/pts/
# It says when it runs, and when it goes on: before that the keys would be the shell's.
tmux send-keys -t shell "sh -c 'trap \"echo on-\$0\" CONT; echo up-\$0; while :; do sleep 0.2; done' job" Enter
check "it runs a program" shows shell up-job
tmux send-keys -t shell C-z
check "job control" shows shell 'Stopped'
tmux send-keys -t shell fg Enter
check "which goes on" shows shell on-job
tmux send-keys -t shell C-c
tmux send-keys -t shell 'exit 9' Enter
check "its status" shows shell status=9
tmux kill-session -t shell
check "the shell takes a script" same "of script" "$(as alice vmsilo shell a <<<'echo of script')"

echo "ends"
run a sh -c 'setsid sleep 1000 & (sleep 1000 & ); trap "" HUP TERM INT; echo up; sleep 1000' >/run/killed &
client=$!
until grep --quiet up /run/killed; do sleep 0.1; done
check "what is started is there" holds "$(programs)" sleep run-
pkill --exact --signal KILL vmsilo
wait $client
sleep 1
none() { same "" "$(programs)"; }
check "a second after the client's end nothing is left" soon none
run a sh -c 'trap "echo term; exit 3" TERM; echo up; while :; do sleep 0.1; done' >/run/signalled &
client=$!
until grep --quiet up /run/signalled; do sleep 0.1; done
pkill --exact --signal TERM vmsilo
got=0
wait $client || got=$?
check "a signal goes to the program" same "up term 3" "$(xargs </run/signalled) $got"
check "what a program leaves behind is ended" run a sh -c 'setsid sleep 1000 & exit 0'
check "at once" same "" "$(programs)"

echo "a guest that stands still"
check "it does" as alice vmsilo pause a
check "who wants it is told" ends 125 run a true
check "and what to do" same $'vmsilo: error: VM "a" is paused\nhint: vmsilo resume a' "$(said)"
check "it goes on" as alice vmsilo resume a
check "and answers" same onward "$(run a echo onward)"

echo "who does not read, and who sends nonsense"
run a yes > >(sleep 1000) &
sleep 2
check "the others go on" same hello "$(run a echo hello)"
memory=$(guest a 'grep VmRSS /proc/$(pgrep vmsilo-agent)/status')
check "the agent stays small: $(xargs <<<"$memory")" test "$(tr -dc 0-9 <<<"$memory")" -lt 32000
broker=$(grep VmRSS "/proc/$(pgrep vmsilo-run)/status")
check "the broker stays small: $(xargs <<<"$broker")" test "$(tr -dc 0-9 <<<"$broker")" -lt 32000
pkill --exact sleep
cat >/run/nonsense <<'END'
#!/bin/bash
echo CONNECT 5000
read -r answer
printf '%b' "$NONSENSE"
exec cat >&3
END
chmod +x /run/nonsense
# answered NONSENSE TEXT [SECONDS] sends it to the agent, as a program's connection, and waits until the answer has the text,
# and so much longer for more.
answered() {
  local status=0
  : >/run/answer
  NONSENSE=$1 timeout 60 socat UNIX-CONNECT:/run/vmsilo/a/vsock/host.sock EXEC:/run/nonsense,nofork 3>/run/answer &
  await grep --quiet --text "$2" /run/answer || status=$?
  sleep "${3:-0}"
  kill $!
  wait $!
  return "$status"
}
for nonsense in 'GET / HTTP/1.0\r\n\r\n' 'vmsilo1\n\xff\xff\xff\xff' 'vmsilo1\n\x01\x00\x00\x09\x00\x00\x00\x00\x00\xff\xff\xff\xff' 'vmsilo1\n\x04\x00\x00\x01\x09'; do
  check "nonsense is answered" answered "$nonsense" malformed
done
check "half a frame is waited for" answered 'vmsilo1\n\x01\x00\x01' vmsilo1 2
check "and not answered" same vmsilo1 "$(cat /run/answer)"
check "what is said to the host is not read" same OK "$(yes | timeout 2 socat - UNIX-CONNECT:/run/vmsilo/a.run)"
check "and harms nobody" same hello "$(run a echo hello)"

echo "nothing runs for an idle VM"
sleep 16
check "nothing of ours on the host" same "" "$(pgrep --list-full 'vmsilo-(run|console|demand|notify|await)')"
check "nor in the guest" same "" "$(guest a 'pgrep --list-full "vmsilo-(agent|control)"')"
check "the next is served" same again "$(run a echo again)"

echo "a guest that sends nonsense"
guest a 'systemctl stop vmsilo-agent.socket vmsilo-agent.service
printf "[Socket]\nListenStream=vsock::5000\nAccept=yes\n" >/run/systemd/system/evil.socket
printf "[Service]\nExecStart=sh -c \"cat /run/evil; sleep 5\"\nStandardOutput=socket\n" >/run/systemd/system/evil@.service
systemctl daemon-reload; systemctl start evil.socket' >/dev/null
for nonsense in 'SSH-2.0-OpenSSH' 'vmsilo1\n\x81\xff\xff\xff' 'vmsilo1\n\x84\x00\x00\x03abc' 'vmsilo1\n\x83\xff\xff\xff\xff' 'vmsilo1\n\x02\x00\x00\x00'; do
  guest a "printf '$nonsense' >/run/evil"
  check "it is named" ends 125 run a true </dev/null
  check "in words" holds "$(said)" "vmsilo: error: " "malformed"
done
guest a "printf 'vmsilo1\n\x85\x00\x00\x0a\x7d\x1b]0;evil\x07' >/run/evil"
check "its text does nothing to a terminal" ends 125 run a true </dev/null
check "nor does it hold escapes" fails holds "$(said)" $'\e'
guest a 'systemctl stop evil.socket; systemctl start vmsilo-agent.socket'

echo "console"
terminal console vmsilo console a
check "it says how to leave" shows console "Ctrl-]"
tmux send-keys -t console Enter
check "a shell of root" shows console 'root@a:'
tmux send-keys -t console 'echo of-the-""console; tty' Enter
check "it answers" shows console of-the-console /dev/ttyS1
check "another is not attached" ends 1 as alice vmsilo console a </dev/null
check "and is told why" holds "$(said)" 'somebody is attached to the console of VM "a" already' 'has closed, though the VM runs'
tmux send-keys -t console C-]
check "Ctrl-] leaves" shows console status=0
tmux kill-session -t console
terminal again vmsilo console a
check "it is attached again" shows again "Ctrl-]"
tmux send-keys -t again Enter
check "and answers again" shows again 'root@a:'
tmux send-keys -t again C-]
tmux kill-session -t again
check "the journal has it, too" holds "$(journalctl --boot --unit=vmsilo-console@a --output=cat)" of-the-console
check "bob cannot" ends 1 as bob vmsilo console a

echo "the VM goes away"
run a sh -c 'echo up; exec sleep 1000' >/run/going 2>/run/lost &
client=$!
until grep --quiet up /run/going; do sleep 0.1; done
systemctl kill --kill-whom=main --signal=KILL vmsilo@a
got=0
wait $client || got=$?
check "the client says so" same '125 vmsilo: error: VM "a" went away while the program ran' "$got $(head -n 1 /run/lost)"
check "nothing is left" nothing_left a
check "the other VM runs as before" same "$beside" "$(systemctl show --property=MainPID,NRestarts,ActiveState vmsilo@beside)"
check "which was so" holds "$beside" ActiveState=active NRestarts=0

echo "requests to the guest"
# request TYPE sends a request with nothing in it, and prints the answer in hexadecimal digits.
request() {
  TYPE=$1 timeout 30 socat UNIX-CONNECT:/run/vmsilo/a/vsock/host.sock EXEC:/run/request,nofork 3>/run/answer
  od --address-radix=n --format=x1 /run/answer | xargs
}
cat >/run/request <<'END'
#!/bin/sh
echo CONNECT 5002
read -r answer
printf "vmsilo1\n\\00$TYPE\000\000\000"
exec cat >&3
END
chmod +x /run/request
check "it starts again" systemctl start vmsilo@a
check "to write its file systems" same "76 6d 73 69 6c 6f 31 0a 86 00 00 00" "$(request 6)"
check "what is none is refused" holds "$(request 2)" "76 6d 73 69 6c 6f 31 0a 85"
check "to shut down" same "76 6d 73 69 6c 6f 31 0a 86 00 00 00" "$(request 5)"
check "it has" timeout 120 bash -c 'while systemctl --quiet is-active vmsilo@a; do sleep 0.2; done'
check "by itself" same success "$(systemctl show --property=Result --value vmsilo@a)"
check "nothing is left" nothing_left a
finish
