#!/bin/bash
# Whatever dies or vanishes, and whenever: systemd shows what is, nothing is left, the other VM never notices, and the
# next start works. The VMM and all else are real; the guest is a few instructions.
# host: --no-image --release=desktop
# files: faults/*.toml
# Some functions are called by name.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

generator=$(find /usr/lib/systemd/system-generators -name vmsilo-generator)

# start starts the victim, which must work whatever was before.
start() {
  begin
  ready victim >/dev/null
  wait "$starting"
  check "the next start" same 0 $?
}

# begin asks for the victim's start, and does not wait for it.
begin() {
  systemctl start vmsilo@victim 2>/dev/null &
  starting=$!
}

# state prints what systemd shows of the victim.
state() { systemctl show --property=ActiveState --value vmsilo@victim; }

# rests tells whether the victim has come to rest: neither it nor a part has a job, nor is anything between two states.
rests() {
  ! systemctl list-jobs --no-legend 2>/dev/null | grep --quiet vmsilo && [[ $(state) != *ing ]]
}

# settled WHAT STATE… checks what must hold after a fault: the victim is in one of the states, and that is true.
settled() {
  local what=$1
  shift
  check "$what: it comes to rest" await rests
  check "$what: the state" grep --quiet --word-regexp "$(state)" <<<"$*"
  if [[ $(state) == active ]]; then
    check "$what: it runs" pgrep --full 'qemu-system.* guest=victim'
    systemctl stop vmsilo@victim
    check "$what: it comes to rest after the stop" await rests
  fi
  check "$what: nothing is left" nothing_left victim
  check "$what: the other VM" same "$bystander" "$(witness)"
  check "$what: no error but its own" same '' "$(errors | grep --invert-match --line-regexp --extended-regexp "$(explained "$what")")"
  systemctl reset-failed 'vmsilo*victim*' 2>/dev/null
}

# errors prints what was wrong with the victim since the last time: what systemd takes for an error, and what a helper does.
errors() {
  journalctl --quiet --boot --unit='vmsilo*victim*' --cursor-file=/root/cursor --output=json |
    jq --raw-output 'select((.PRIORITY | tonumber) <= 3 or (.MESSAGE | strings | test("^(vmsilo-[a-z]+: error|panic): "))) | .MESSAGE' |
    sort --unique
}

# explained prints a pattern for the errors that a fault explains.
explained() {
  local start='Failed to start vmsilo@victim\.service .*|vmsilo-await: error: waiting for the guest to say READY=1: .*'
  case $1 in
  vmsilo-demand* | vmsilo-notify*) ;;
  *' killed while starting' | vmsilo-qemu\ * | vmsilo-share\ *) echo "$start" ;;
  *' killed in the start, '* | vmsilo-down\ *) echo "Failed to start ${1%% *}@victim.*" ;;
  'vmsilo-idle killed'*) echo 'Failed to start vmsilo-idle@victim.*' ;;
  'vmm/qmp.sock deleted') echo 'vmsilo-stop: error: the VM had to be killed after .*' ;;
  '/var is full') echo "$start|vmsilo-qemu: error: creating disk .*: No space left on device" ;;
  '/run is full') echo 'Failed to start vmsilo-user@victim.*|error: adding user .*|write /run/userdb/.*: no space left on device' ;;
  esac
}

# witness prints what would be another if anything had happened to the other VM.
witness() {
  local unit
  for unit in vmsilo@bystander vmsilo-{vsock,disk,home,user}@bystander vmsilo-share@bystander:home vmsilo-netdev@bystander:eth0; do
    systemctl show --property=Id,MainPID,ActiveState,NRestarts,StateChangeTimestampMonotonic "$unit.service"
  done
  cat /sys/class/net/bystander-22/ifindex
  journalctl --boot --unit='vmsilo*@bystander*' --priority=err --output=cat
}

# is STATE tells whether the victim has that state.
is() { [[ $(state) == "$1" ]]; }

# kill_it UNIT PHASE kills the main process of a service as soon as it has one.
kill_it() {
  check "$1 runs while $2" await runs "$1"
  check "$1 is killed while $2" systemctl kill --kill-whom=main --signal=KILL "$1.service"
}

# runs UNIT tells whether a service has a main process.
runs() { [[ $(systemctl show --property=MainPID --value "$1.service") -ne 0 ]]; }

# guest_is FOLDER chooses the image of the victim's next start.
guest_is() { ln --symbolic --force --no-dereference "$1" /srv/image; }

# at_work tells whether the VMM has begun, and has found its folders: what serves these is started by that, as it is configured then.
at_work() { [[ -S /run/vmsilo/victim/vmm/qmp.sock ]] && runs vmsilo-share@victim:home && runs vmsilo-share@victim:docs; }

# at PHASE [COMMAND…] brings the victim into a phase of its life: starting, running or stopping, in which it stays for a
# while. The command is run in it, or before the stop.
at() {
  local phase=$1
  shift
  guest_is /srv/tiny
  case $phase in
  starting) begin && await at_work && "$@" ;;
  running) start && "$@" ;;
  stopping)
    guest_is /srv/deaf
    start
    "$@"
    systemctl stop --no-block vmsilo@victim
    await is deactivating
    guest_is /srv/tiny
    ;;
  esac
}

# Where a helper is killed that does one thing: before it has begun, when it has done it, and in between.
# shellcheck disable=SC2016 # for the stand-in
moments=(
  'kill -STOP $$'
  '"$real" "$@"; kill -STOP $$'
  '"$real" "$@" & sleep 0.001; kill -KILL $!; kill -STOP $$'
  '"$real" "$@" & sleep 0.004; kill -KILL $!; kill -STOP $$'
)

# helper_killed HELPER VERB [COUNT] has the victim started or stopped, and each time kills the helper once at another
# moment, of which there are so many.
helper_killed() {
  local moment n=0 what
  for moment in "${moments[@]:0:${3:-4}}"; do
    n=$((n + 1))
    what="$1 killed in the $2, moment $n"
    [[ $2 == start ]] || start
    stand_in "$1" "$moment"
    if [[ $2 == start ]]; then begin; else systemctl stop --no-block vmsilo@victim; fi
    check "$what: it runs" await stopped
    restore
    [[ $2 != start ]] || wait "$starting"
    settled "$what" inactive failed
  done
}

# These see themselves and no shell; a stand-in needs one.
for unit in down idle machine netvm; do
  install -D --mode=644 /dev/stdin "/etc/systemd/system/vmsilo-$unit@.service.d/shell.conf" <<'END'
[Service]
BindReadOnlyPaths=/usr /usr/bin:/bin /usr/lib:/lib /usr/lib64:/lib64
END
done
truncate --size=1M /srv/disk
systemctl daemon-reload
tiny_image /srv/tiny
tiny_image /srv/deaf deaf
ln --symbolic /srv/tiny /srv/image
systemctl start vmsilo@bystander &
ready bystander
wait
check "the other VM runs" systemctl is-active vmsilo@bystander
bystander=$(witness)

echo "a process that runs on is killed"
for part in vmsilo@victim vmsilo-vsock@victim vmsilo-share@victim:home; do
  for phase in starting running stopping; do
    at "$phase"
    kill_it "$part" "$phase"
    settled "$part killed while $phase" failed inactive
  done
done
at starting
check "vmsilo-await is killed while starting" systemctl kill --kill-whom=control --signal=KILL vmsilo@victim
settled "vmsilo-await killed while starting" failed
declare -A socket=(
  [run]=../victim.run [console]=../victim.console [vmm]=../victim.vmm [proxy]=wayland.sock [waypipe]=vsock/host.sock_5003 [notify]=vsock/host.sock_5001
)
# attach PART connects to a part, which is started by that. The guest is up a moment before some of them listen.
attach() {
  await test -S "/run/vmsilo/victim/${socket[$1]}"
  socat -u "UNIX-CONNECT:/run/vmsilo/victim/${socket[$1]}" - >/dev/null 2>&1 &
  await runs "vmsilo-$1@victim"
}
for part in "${!socket[@]}"; do
  for phase in starting running stopping; do
    # Nobody is let in before the guest is up, and who steers the VMM ends before it is stopped.
    [[ $phase-$part =~ ^(starting-(run|console|vmm)|stopping-vmm)$ ]] && continue
    at "$phase" attach "$part"
    kill_it "vmsilo-$part@victim" "$phase"
    [[ $phase != starting ]] || ready victim
    settled "vmsilo-$part@victim killed while $phase" active inactive
  done
done

# demanded tells whether somebody waits for a VM.
demanded() { [[ $(systemctl list-units --plain --no-legend --state=running 'vmsilo-demand@*' | wc --lines) -eq 1 ]]; }
for phase in starting stopping; do
  [[ $phase == starting ]] || at stopping
  socat -t 60 - UNIX-CONNECT:/run/vmsilo.demand <<<victim >/root/answer &
  client=$!
  check "vmsilo-demand@ runs while $phase" await demanded
  [[ $phase == stopping ]] || await test -S /run/vmsilo/victim/vmm/qmp.sock
  systemctl kill --signal=KILL 'vmsilo-demand@*'
  wait "$client"
  check "vmsilo-demand@ killed while $phase: who asked has no answer" same '' "$(cat /root/answer)"
  if [[ $phase == starting ]]; then
    ready victim
    check "vmsilo-demand@ killed while $phase: the VM is up" await is active
  fi
  settled "vmsilo-demand@ killed while $phase" active inactive
  check "vmsilo-demand@ killed while $phase: nothing of it is left" same '' "$(systemctl list-units --all --plain --no-legend 'vmsilo-demand@*')"
done

echo "a helper is killed"
for each in user netvm netdev home; do helper_killed "vmsilo-$each" start; done
# Who asks it waits for the next one.
stand_in vmsilo-lend 'kill -STOP $$'
begin
check "vmsilo-lend killed in the start: it runs" await stopped
restore
ready victim
wait "$starting"
check "vmsilo-lend killed in the start: the VM is up" same 0 $?
settled "vmsilo-lend killed in the start" active
for unit in machine idle; do
  at running
  program=vmsilo-${unit/idle/demand}
  stand_in "$program" 'kill -STOP $$'
  systemctl restart --no-block "vmsilo-$unit@victim"
  check "vmsilo-$unit killed while running: it runs" await stopped
  restore
  settled "vmsilo-$unit killed while running" active
done
# These become another program when they are done.
for each in qemu share; do helper_killed "vmsilo-$each" start 1; done
for each in stop netvm netdev disk user down; do helper_killed "vmsilo-$each" stop; done

# served tells whether the guest, which is still shutting down, has its home half a second later.
served() { sleep 0.5 && is deactivating && runs vmsilo-share@victim:home; }

# disk prints which ephemeral disk there is.
disk() { stat --format=%i:%W /var/lib/vmsilo/victim/ephemeral.qcow2; }

# another PID tells whether the VMM is another one.
another() { runs vmsilo@victim && fails same "$1" "$(systemctl show --property=MainPID --value vmsilo@victim)" >/dev/null; }

echo "a stop while it starts"
at starting
check "it takes no time" quick systemctl stop vmsilo@victim
settled "a stop while it starts" inactive

echo "a start while it stops"
at stopping
before=$(disk) main=$(systemctl show --property=MainPID --value vmsilo@victim)
begin
check "the home is served to the end" served
check "then it is started" await another "$main"
ready victim
wait "$starting"
check "and is up" same 0 $?
check "with another disk" fails same "$before" "$(disk)"
check "and a console" await systemctl --quiet is-active vmsilo-console@victim.socket
settled "a start while it stops" active

echo "the configuration changes"
# edited, removed, reloaded: what is done to the victim's file before each reload.
edited() { sed -i 's/cpus = 1/cpus = 2/; s/eth0/lan0/; s/docs/papers/' /etc/vmsilo/victim.toml; }
removed() { rm /etc/vmsilo/victim.toml; }
broken() { echo 'memroy = "1G"' >>/etc/vmsilo/victim.toml; }
reloaded() { true; }
killed() { stand_in "$generator" 'kill -KILL $$'; }
cp /etc/vmsilo/victim.toml /root/
for change in reloaded edited removed broken killed; do
  for phase in starting running stopping; do
    what="$change while $phase"
    at "$phase"
    main=$(systemctl show --property=MainPID --value vmsilo@victim)
    "$change"
    systemctl daemon-reload
    check "$what: the VMM is the one that it was" same "$main" "$(systemctl show --property=MainPID --value vmsilo@victim)"
    [[ $phase != starting ]] || ready victim
    [[ $phase != stopping ]] || check "$what: the home is served to the end" served
    [[ $phase == stopping ]] || check "$what: the VM is up" await is active
    settled "$what" active inactive
    [[ $change != killed ]] || restore
    cp /root/victim.toml /etc/vmsilo/
    systemctl daemon-reload
  done
done

echo "something vanishes"
at running
ip link delete victim-22
# QEMU ends with the next thing that the guest's firmware does to the interface, should it be on its way.
sleep 1
settled "the TAP deleted" active failed
for socket in vsock/vhost.sock vsock/host.sock vsock/host.sock_5001 vmm/qmp.sock vmm/console.sock ../victim.run ../victim.console ../victim:home.sock; do
  at running
  check "$socket: is there" await rm "/run/vmsilo/victim/$socket"
  settled "$socket deleted" active
done

echo "a file system is full"
mount --types tmpfs --options size=64K tmpfs /var/lib/vmsilo
head --bytes=1M /dev/zero >/var/lib/vmsilo/full 2>/dev/null
check "/var: the start fails" fails systemctl start vmsilo@victim
check "/var: and says why" holds "$(journalctl --boot --unit=vmsilo@victim --output=cat)" "No space left on device"
settled "/var is full" failed inactive
umount /var/lib/vmsilo
for phase in running stopping; do
  at "$phase"
  head --bytes=10G /dev/zero >/run/full 2>/dev/null
  settled "/run is full while $phase" active inactive failed
  rm /run/full
done
head --bytes=10G /dev/zero >/run/full 2>/dev/null
check "/run: the start fails" fails systemctl start vmsilo@victim
settled "/run is full" failed inactive
rm /run/full
start
check "the last stop" systemctl stop vmsilo@victim
settled "the last" inactive
finish
