#!/bin/bash
# What org.vmsilo1 tells on D-Bus, asked with the tools of others, and what machinectl knows of VMs and does to them.
# host: --no-image --release=trixie
# Some functions are called by name, and some commands are for later.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# at VM prints the path of its object.
at() { echo "/org/vmsilo1/vm/${1//-/_2d}"; }

# get VM PROPERTY prints its value.
get() { busctl get-property org.vmsilo1 "$(at "$1")" org.vmsilo1.VM "$2" | cut --delimiter=' ' --fields=2-; }

# is VM PROPERTY WANT waits until the property has the value.
is() { await has "$@" || { get "$1" "$2" && return 1; }; }
has() { [[ $(get "$1" "$2") == "$3" ]]; }

call() { busctl call org.vmsilo1 "$@" 2>&1; }
manager() { call /org/vmsilo1 org.vmsilo1.Manager "$@"; }
as() { runuser --user="$1" -- "${@:2}" 2>&1; }
service_pid() { systemctl show --property=MainPID --value vmsilo-status; }
gone() { [[ $(systemctl is-active vmsilo-status) == inactive ]]; }
qemu_of() { pgrep --parent "$(systemctl show --property=MainPID --value "vmsilo@$1")" qemu-system; }
# near THEIRS OURS tells whether two numbers of bytes are alike; none is the largest there is.
near() {
  [[ $1 != "[not set]" && $1 != 18446744073709551615 ]] || { same 18446744073709551615 "$2" && return; }
  [[ $2 -gt $(($1 / 2)) && $2 -lt $(($1 * 2)) ]]
}
machines() { machinectl list --no-legend | cut --delimiter=' ' --fields=1 | xargs; }

# configure VM ID IMAGE writes its file.
configure() {
  printf 'id = %d\nhypervisor = "qemu"\nimage = "%s"\nmemory = "64M"\ncpus = 1\nuser = "alice"\nshared_home = false\n' "$2" "$3" >"/etc/vmsilo/$1.toml"
}

# talk COUNT PATH INTERFACE MEMBER SECONDS sends so many calls over a connection of its own, reads no answer, and stays for
# so long. No tool of others does.
cat >/usr/local/bin/talk <<'END'
#!/usr/bin/perl
use Socket;
my ($count, $path, $interface, $member, $seconds) = @ARGV;
my $serial = 0;
sub padded { my $text = shift; $text . "\0" x (-length($text) % 8) }
sub field { my ($code, $type, $value) = @_; pack("C C a x V a* x", $code, 1, $type, length($value), $value) }
# A method call without arguments: "Message Protocol" of the D-Bus specification.
sub message {
  my ($to, @names) = @_;
  my @fields = (field(1, "o", $names[0]), field(2, "s", $names[1]), field(3, "s", $names[2]), field(6, "s", $to));
  my $fields = join("", map { padded($_) } @fields[0 .. 2]) . $fields[3];
  padded(pack("a C C C V V V", "l", 1, 0, 1, 0, ++$serial, length($fields)) . $fields);
}
my $bus;
socket($bus, AF_UNIX, SOCK_STREAM, 0) && connect($bus, pack_sockaddr_un("/run/dbus/system_bus_socket")) or die "$!\n";
syswrite($bus, "\0AUTH EXTERNAL " . unpack("H*", $<) . "\r\n");
sysread($bus, my $answer, 1024);
syswrite($bus, "BEGIN\r\n" . message("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello"));
for (1 .. $count) { my $text = message("org.vmsilo1", $path, $interface, $member); syswrite($bus, $text) == length($text) or die "$!\n" }
sleep($seconds);
END
chmod 755 /usr/local/bin/talk

tiny_image /srv/one
tiny_image /srv/two
tiny_image /srv/deaf deaf
ln --symbolic one /srv/image
# A guest that reboots when its power button is pressed. Its end is: mov al,0xfe; out 0x64,al; hlt.
(
  eval "again_$(declare -f tiny_real_mode)"
  tiny_real_mode() {
    again_tiny_real_mode "" | head --bytes=-8
    bytes b0 fe e6 64 f4
  }
  tiny_image /srv/again
)
configure again 7 /srv/again
configure my-vm 4 /srv/image
configure deaf 5 /srv/deaf
printf 'stop_timeout = "4s"\n' >>/etc/vmsilo/deaf.toml
configure work 3 /srv/image
cat >>/etc/vmsilo/work.toml <<'END'
description = "at work"
color = "#ff8800"
depends_on = ["my-vm"]
[network.interfaces.lan0]
host_address = "10.199.3.1/24"
mac_address = "52:54:00:00:00:01"
[shared_directories.docs]
source = "/srv"
target = "/mnt/docs"
read_only = true
END
printf 'id = 6\nmemroy = "1G"\n' >/etc/vmsilo/bad.toml
systemctl daemon-reload

echo "what there is"
check "nothing runs before somebody asks" gone
check "the tree" same "└─ /org
  └─ /org/vmsilo1
    └─ /org/vmsilo1/vm
      ├─ /org/vmsilo1/vm/again
      ├─ /org/vmsilo1/vm/bad
      ├─ /org/vmsilo1/vm/deaf
      ├─ /org/vmsilo1/vm/my_2dvm
      └─ /org/vmsilo1/vm/work" "$(busctl --no-pager tree org.vmsilo1)"
check "the bus has started the service" systemctl --quiet is-active vmsilo-status
check "as a user of its own" same vmsilo_status "$(ps --no-headers --format=user:32 "$(service_pid)" | xargs)"
check "the properties of a VM" same "ActiveState s
Addresses as
Autostart b
Cid u
Color s
ConfigChanged b
ConfigError s
ConfigPath s
DependsOn as
Description s
Hypervisor s
Id u
ImageChanged b
Interfaces a(sssus)
MainPID u
MemoryCurrent t
Name s
Ready b
RootOverlay (stts)
Shares a(sssb)
StartTimestamp t
State s
StateTimestamp t
SubState s
Unit s
WaylandProxy s" "$(busctl introspect org.vmsilo1 "$(at work)" org.vmsilo1.VM | awk '$2 == "property" { print substr($1, 2), $3 }')"
check "their values" same '"work" 3 "at work" "#ff8800" "/etc/vmsilo/work.toml" "inactive" false 1 "lan0" "work-22" "52:54:00:00:00:01" 22 "10.199.3.1/24" 1 "docs" "/srv" "/mnt/docs" true "qcow2" 10737418240 0 "/var/lib/vmsilo/work/ephemeral.qcow2" 1 "my-vm"' \
  "$(for property in Name Id Description Color ConfigPath ActiveState Ready Interfaces Shares RootOverlay DependsOn; do get work $property; done | xargs -d '\n')"
check "the methods of the manager" same 'a(sso) 5 "again" "inactive" "/org/vmsilo1/vm/again" "bad" "inactive" "/org/vmsilo1/vm/bad" "deaf" "inactive" "/org/vmsilo1/vm/deaf" "my-vm" "inactive" "/org/vmsilo1/vm/my_2dvm" "work" "inactive" "/org/vmsilo1/vm/work"' \
  "$(manager ListVMs)"
check "as gdbus has them" same "(objectpath '/org/vmsilo1/vm/my_2dvm',)" \
  "$(gdbus call --system --dest org.vmsilo1 --object-path /org/vmsilo1 --method org.vmsilo1.Manager.GetVM my-vm)"
check "gdbus finds all of it" in_order "$(gdbus introspect --system --dest org.vmsilo1 --object-path / --recurse)" \
  "node /org/vmsilo1 {" GetManagedObjects InterfacesAdded "ListVMs(out a(sso) vms)" Subscribe "Version = '0" \
  "node /org/vmsilo1/vm/work {" "readonly u Cid = 3" "readonly a(sssb) Shares = [('docs', "
check "the object manager has the VMs" same 5 "$(call /org/vmsilo1 org.freedesktop.DBus.ObjectManager GetManagedObjects | grep -o '"/org/vmsilo1/vm/[a-z_0-9]*" 1 "org.vmsilo1.VM" 26' | wc -l)"
check "errors of the configuration" same 'a(suus) 1 "/etc/vmsilo/bad.toml" 2 1 "unknown key \"memroy\""' \
  "$(busctl get-property org.vmsilo1 /org/vmsilo1 org.vmsilo1.Manager Errors)"
check "and those of a VM" holds "$(get bad ConfigError)" '/etc/vmsilo/bad.toml:2:1: unknown key \"memroy\"' 'did you mean \"memory\"?'

echo "who may do what"
check "bob reads" same 's "at work"' "$(as bob busctl get-property org.vmsilo1 "$(at work)" org.vmsilo1.VM Description)"
check "and writes nothing" holds "$(as bob busctl set-property org.vmsilo1 "$(at work)" org.vmsilo1.VM Color s red)" "can be read alone"
check "nor does root" holds "$(busctl set-property org.vmsilo1 "$(at work)" org.vmsilo1.VM Color s red 2>&1)" "can be read alone"
check "nobody else may have the name" holds "$(systemctl stop vmsilo-status
  as bob busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus RequestName su org.vmsilo1 0)" "Access denied"
check "a name that no VM has" holds "$(gdbus call --system --dest org.vmsilo1 --object-path /org/vmsilo1 --method org.vmsilo1.Manager.GetVM none 2>&1)" "org.vmsilo1.Error.NoSuchVM"
check "a path that is no VM's" holds "$(gdbus call --system --dest org.vmsilo1 --object-path /org/vmsilo1/vm/none --method org.freedesktop.DBus.Properties.GetAll x 2>&1)" UnknownObject

echo "the configuration changes"
busctl --json=short monitor --match="type='method_call',member='GetId'" --match="type='signal',sender='org.vmsilo1'" --match="type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1/unit/vmsilo_40work_2eservice'" >/root/monitor 2>&1 &
monitor=$!
# It sees nothing of what was before it, which a call of another kind tells.
monitored() { busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus GetId && grep --quiet method_call /root/monitor; }
check "who listens hears all" await monitored
printf 'id = 6\nhypervisor = "qemu"\n' >/etc/vmsilo/bad.toml
check "what is right again is told" is bad ConfigError '""'
check "and that there is no other error" same "a(suus) 0" "$(busctl get-property org.vmsilo1 /org/vmsilo1 org.vmsilo1.Manager Errors)"
mv /etc/vmsilo/bad.toml /etc/vmsilo/good.toml
check "a VM under another name" is good Id 6
check "is no longer there under the one before" holds "$(get bad Id 2>&1)" "no object"
rm /etc/vmsilo/good.toml
check "and is gone with its file" await eval '[[ $(manager ListVMs) != *good* ]]'
check "the boot starts what systemctl has it start" same "false true" \
  "$({ get my-vm Autostart && systemctl --quiet add-wants vmsilo.target vmsilo@my-vm.service && is my-vm Autostart true && get my-vm Autostart; } | xargs)"
rm /etc/systemd/system/vmsilo.target.wants/vmsilo@my-vm.service

echo "a VM starts"
tiny_start my-vm
tiny_start work
up() { for property in ActiveState SubState Ready State; do get work "$property"; done; }
check "it is up" becomes '^active running true running$' up
check "its process" same "$(systemctl show --property=MainPID --value vmsilo@work)" "$(get work MainPID)"
check "its start" same "$(date --date="$(systemctl show --property=InactiveExitTimestamp --value vmsilo@work)" +%s)" "$(($(get work StartTimestamp) / 1000000))"
# The kernel of this host may count none; systemd then says so, too.
check "its memory" near "$(systemctl show --property=MemoryCurrent --value vmsilo-work.slice)" "$(get work MemoryCurrent)"
check "what its disk takes" test "$(get work RootOverlay | cut --delimiter=' ' --fields=3)" -gt 100000
check "vmsilo list has it" same "running" "$(as bob vmsilo list --json | jq --raw-output '.[] | select(.name == "work").state')"
check "it is what is configured" same "false false" "$({ get work ConfigChanged && get work ImageChanged; } | xargs)"
sed -i 's/64M/80M/' /etc/vmsilo/work.toml
check "until the file says something else" is work ConfigChanged true
echo "# the same" >>/etc/vmsilo/work.toml && sed -i 's/80M/64M/' /etc/vmsilo/work.toml
check "which a remark is not" is work ConfigChanged false
ln --symbolic --force --no-dereference two /srv/image
check "another image" is work ImageChanged true
ln --symbolic --force --no-dereference one /srv/image
check "the same again" is work ImageChanged false
systemctl daemon-reload
check "a reload changes nothing" same '"active" false' "$({ get work ActiveState && get work ConfigChanged; } | xargs -d '\n')"
systemctl stop vmsilo-status
check "a service that comes later knows as much" same "\"active\" $(systemctl show --property=MainPID --value vmsilo@work) false" \
  "$(for property in ActiveState MainPID ConfigChanged; do get work $property; done | xargs -d '\n')"
killed=$(service_pid)
kill -KILL "$killed"
check "one that comes after it was killed, too" await has work ActiveState '"active"'
check "which is another" fails same "$killed" "$(service_pid)"
systemctl daemon-reexec
kill -STOP "$(qemu_of work)"
check "a VM that hangs does not hold it up" await timeout 1 busctl call org.vmsilo1 "$(at work)" org.freedesktop.DBus.Properties GetAll s org.vmsilo1.VM
kill -CONT "$(qemu_of work)"

echo "what machinectl does"
check "it has the VMs that are up" same "my-vm work" "$(await eval '[[ $(machines) == "my-vm work" ]]'; machines)"
check "and knows them" in_order "$(machinectl status --no-pager work)" "Leader: $(get work MainPID) (vmsilo-qemu)" "Service: vmsilo; class vm" "Unit: vmsilo@work.service"
check "poweroff" machinectl poweroff work
check "ends a VM" is work State '"stopped"'
check "as its guest would" holds "$(journalctl --boot --unit=vmsilo@work --output=cat)" "asked to power off" "Deactivated successfully"
check "and nothing is left" nothing_left work
check "terminate" machinectl terminate my-vm
check "ends one, too" is my-vm State '"stopped"'
check "which nothing is left of" nothing_left my-vm
check "they are no machines any more" await eval '[[ -z $(machines) ]]'
tiny_start deaf
check "a deaf one" await eval '[[ $(machines) == deaf ]]'
check "poweroff of a guest that hears nothing" machinectl poweroff deaf
check "takes its time" is deaf State '"stopped"'
check "and is no failure" same success "$(systemctl show --property=Result --value vmsilo@deaf)"
check "nothing is left of it" nothing_left deaf
tiny_start again
check "a guest that may reboot" await eval '[[ $(machines) == again ]]'
before=$(get again MainPID)
machinectl poweroff again
check "reboots" await eval '[[ $(get again MainPID) != @(0|$before) ]]'
check "and is up again" ready again
check "as the machine that it was" await eval '[[ $(machinectl show --property=Leader --value again) == $(get again MainPID) ]]'
systemctl stop vmsilo@again
# Its power button is no end.
systemctl reset-failed vmsilo@again
mv /usr/share/dbus-1/system-services/org.freedesktop.machine1.service /root/
systemctl stop systemd-machined
check "without systemd-machined a VM starts as well" tiny_start my-vm
check "and nobody complains" same "" "$(systemctl list-units --failed --plain --no-legend 'vmsilo*')"
# Once more, for its times. Who only listens to the bus does not keep the service there.
talk 1 /org/vmsilo1 org.vmsilo1.Manager Subscribe 600 &
subscriber=$!
check "the service is there" manager GetVM s work
tiny_start work
systemctl stop vmsilo@work vmsilo@my-vm
mv /root/org.freedesktop.machine1.service /usr/share/dbus-1/system-services/

echo "what was told meanwhile"
# signals FILTER prints of each signal what the filter of jq makes of it.
signals() { jq --raw-output "select(.type == \"signal\") | $1" /root/monitor; }
state='select(.path == "/org/vmsilo1/vm/work" and .member == "PropertiesChanged") | .payload.data[1].ActiveState.data // empty'
states() { signals "$state" | uniq; }
check "each state of the VM, twice" becomes '^(activating active deactivating inactive ?){2}$' states
kill $monitor $subscriber
check "a VM that came, and one that went" same "InterfacesAdded /org/vmsilo1/vm/good InterfacesRemoved /org/vmsilo1/vm/good" \
  "$(signals 'select(.member | startswith("Interfaces")) | .member + " " + .payload.data[0]' | grep good | xargs)"
# Of each state that both have told, how many µs the service was later than systemd; of the two times that there were the
# better, as the machine may stand still for a moment.
late=$(jq --slurp '[.[] | select(.type == "signal" and .member == "PropertiesChanged")
  | {state: .payload.data[1].ActiveState.data, own: (.path == "/org/vmsilo1/vm/work"), of: .path, at: .["timestamp-realtime"]} | select(.state)
  | select(.own or (.of | startswith("/org/freedesktop/systemd1")))] as $all
  | [range($all | length) as $n | $all[$n] | select(.own) as $own
    | ([$all[:$n][] | select((.own | not) and .state == $own.state)] | last) as $theirs | select($theirs) | {state: $own.state, late: ($own.at - $theirs.at)}]
  | [group_by(.state)[] | [.[].late] | min] | max' /root/monitor)
check "within 100 ms of systemd: $late µs at most" test "$late" -gt 0 -a "$late" -lt 100000

echo "floods"
manager GetVM s work >/dev/null
before=$(service_pid)
runuser --user=bob -- talk 10000 /org/vmsilo1 org.freedesktop.DBus.ObjectManager GetManagedObjects 12 &
runuser --user=bob -- talk 10000 /org/vmsilo1/vm/none org.vmsilo1.VM Nothing 12 &
sleep 1
check "others are answered" timeout 10 busctl get-property org.vmsilo1 /org/vmsilo1 org.vmsilo1.Manager Version
for _ in {1..200}; do manager GetVM s work & done >/root/answers
wait
check "two hundred at once" same 200 "$(grep --count '^o "/org/vmsilo1/vm/work"$' /root/answers)"
check "by the same process" same "$before" "$(service_pid)"
peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$(service_pid)/status")
check "in little memory: $peak KiB" test "$peak" -gt 1000 -a "$peak" -lt 65536

echo "it leaves"
talk 1 /org/vmsilo1 org.vmsilo1.Manager Subscribe 33 &
start=$EPOCHSECONDS
sleep 32
check "not while somebody has subscribed" same "$before" "$(service_pid)"
wait
for _ in {1..400}; do
  ! gone || break
  sleep 0.1
done
# A little later where the machine stands still for a moment.
check "30 s after they are gone: after $((EPOCHSECONDS - start - 33)) s" test $((EPOCHSECONDS - start)) -ge 62 -a $((EPOCHSECONDS - start)) -le 70
check "with success" same success "$(systemctl show --property=Result --value vmsilo-status)"
check "and comes again" manager GetVM s work
check "nothing has failed" same '' "$(systemctl list-units --failed --plain --no-legend)"
finish
