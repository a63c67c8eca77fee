#!/bin/bash
# Run by tests/bench/status on the host that it boots. Prints medians, in µs, and their ratios.
set -euo pipefail
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# ask prints the µs that each call took of: NAME PATH INTERFACE, whose properties it asks for, so often in turn with the others.
cat >/root/ask <<'END'
#!/usr/bin/perl
# ask COUNT NAME PATH INTERFACE [NAME PATH INTERFACE]…
use Socket;
use Time::HiRes "time";
my ($count, @targets) = @ARGV;
my $serial = 0;
sub padded { my $text = shift; $text . "\0" x (-length($text) % 8) }
sub field { my ($code, $type, $value) = @_; pack("C C a x V a* x", $code, 1, $type, length($value), $value) }
# A method call with one string or none: "Message Protocol" of the D-Bus specification.
sub message {
  my ($to, $path, $interface, $member, $argument) = @_;
  my $body = defined $argument ? pack("V a* x", length($argument), $argument) : "";
  my @fields = (field(1, "o", $path), field(2, "s", $interface), field(3, "s", $member), field(6, "s", $to));
  push @fields, pack("C C a x C a x", 8, 1, "g", 1, "s") if $body;
  my $last = pop @fields;
  my $fields = join("", map { padded($_) } @fields) . $last;
  padded(pack("a C C C V V V", "l", 1, 0, 1, length($body), ++$serial, length($fields)) . $fields) . $body;
}
my $read = "";
sub more { my $n = sysread($bus, $read, 65536, length($read)); $n or die "the bus is gone\n" }
# answer returns the type of the next message that is an answer.
sub answer {
  while (1) {
    more() while length($read) < 16;
    my (undef, $type, undef, undef, $body, undef, $fields) = unpack("a C C C V V V", $read);
    my $length = 16 + $fields + (-$fields % 8) + $body;
    more() while length($read) < $length;
    substr($read, 0, $length, "");
    return $type if $type == 2 || $type == 3;
  }
}
socket($bus, AF_UNIX, SOCK_STREAM, 0) && connect($bus, pack_sockaddr_un("/run/dbus/system_bus_socket")) or die "$!\n";
syswrite($bus, "\0AUTH EXTERNAL " . unpack("H*", $<) . "\r\n");
sysread($bus, my $line, 1024);
syswrite($bus, "BEGIN\r\n" . message("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello"));
answer();
for (1 .. $count) {
  my @took;
  for (my $i = 0; $i < @targets; $i += 3) {
    my $text = message(@targets[$i, $i + 1], "org.freedesktop.DBus.Properties", "GetAll", $targets[$i + 2]);
    my $start = time;
    syswrite($bus, $text);
    answer() == 2 or die "$targets[$i] has answered with an error\n";
    push @took, int((time - $start) * 1e6);
  }
  print "@took\n";
}
END
chmod 755 /root/ask

# median COLUMN prints that of the lines.
median() { cut --delimiter=' ' --fields="$1" | sort --numeric-sort | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

# first prints the µs from when nothing runs to the first answer of a service that the bus starts: UNIT NAME PATH INTERFACE.
first() {
  local n
  for ((n = 0; n < 15; n++)); do
    systemctl stop "$1"
    sleep 0.2
    /root/ask 1 "${@:2}"
  done
}

tiny_image /srv/tiny
for ((n = 3; n < 13; n++)); do
  printf 'id = %d\nhypervisor = "qemu"\nimage = "/srv/tiny"\nmemory = "64M"\ncpus = 1\nshared_home = false\n' $n >"/etc/vmsilo/vm$n.toml"
done
systemctl daemon-reload
tiny_start vm3
await machinectl status vm3 >/dev/null 2>&1
vm=(org.vmsilo1 /org/vmsilo1/vm/vm3 org.vmsilo1.VM)
machine=(org.freedesktop.machine1 /org/freedesktop/machine1/machine/vm3 org.freedesktop.machine1.Machine)
/root/ask 200 "${vm[@]}" "${machine[@]}" >/dev/null
/root/ask 3000 "${vm[@]}" "${machine[@]}" >/root/calls
ours=$(median 1 </root/calls) theirs=$(median 2 </root/calls)
printf '%d CPUs, Linux %s, %s; 10 VMs, one of which runs; medians\n' "$(nproc)" "$(uname -r)" "$(systemctl --version | head -n 1)"
printf '%-40s %8d µs\n' "GetAll of a VM, 3000 calls" "$ours" "GetAll of its machine, from machined" "$theirs"
awk -v ours="$ours" -v theirs="$theirs" 'BEGIN { printf "%-40s %8.2f\n", "  ratio", ours / theirs }'
printf '%-40s %8d µs\n' "start to first answer, 15 starts" "$(first vmsilo-status "${vm[@]}" | median 1)" \
  "the same of machined" "$(first systemd-machined org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager | median 1)"
