#!/bin/bash
# Run by tests/bench/wayland on the host that it boots. Prints medians, in µs.
set -euo pipefail
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# round-trips COUNT SOCKET… prints the ns that wl_display.sync took on each socket, in turn.
cat >/usr/local/bin/round-trips <<'END'
#!/usr/bin/perl
use Socket;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
my ($count, @paths) = @ARGV;
my @all = map { my $s; socket($s, AF_UNIX, SOCK_STREAM, 0) && connect($s, pack_sockaddr_un($_)) or die "$_: $!\n"; $s } @paths;
# wl_display is 1, sync 0, and the callback 2; it is answered with done, and its id is given back: 12 bytes each.
my $sync = pack("L L L", 1, 12 << 16, 2);
for (1 .. $count) {
  my @took;
  for my $s (@all) {
    my $start = clock_gettime(CLOCK_MONOTONIC);
    syswrite($s, $sync);
    for (my $got = 0; $got < 24;) { $got += sysread($s, my $answer, 24 - $got) || die "the compositor is gone\n" }
    push @took, int((clock_gettime(CLOCK_MONOTONIC) - $start) * 1e9);
  }
  print "@took\n";
}
END
chmod 755 /usr/local/bin/round-trips

# median COLUMN prints that of the lines, in µs.
median() { cut --delimiter=' ' --fields="$1" | sort --numeric-sort | awk '{ all[NR] = $1 } END { printf "%8.1f\n", all[int((NR + 1) / 2)] / 1000 }'; }

tiny_image /srv/tiny
for mode in context plain; do
  printf 'id = %d\nhypervisor = "qemu"\nimage = "/srv/tiny"\nwayland = "%s"\nwayland_proxy = "waypipe"\n' $((${#mode})) "$mode" >"/etc/vmsilo/$mode.toml"
done
systemctl daemon-reload
# shellcheck disable=SC2119 # without options
compositor_start
systemctl start vmsilo-proxy@context.socket vmsilo-proxy@plain.socket
sockets=(/run/user/1000/"$(compositor_display | cut -d = -f 2)" /run/vmsilo/context/wayland.sock /run/vmsilo/plain/wayland.sock)
desktop round-trips 500 "${sockets[@]}" >/dev/null
desktop round-trips 20000 "${sockets[@]}" >/root/all
printf '%d CPUs, Linux %s, %s; medians of 20000 round trips, in turn\n' "$(nproc)" "$(uname -r)" "$(desktop sway --version)"
names=("the compositor's own socket" "a VM's, security context" "a VM's, plain")
for n in 0 1 2; do
  printf '%-30s %s µs\n' "${names[n]}" "$(median $((n + 1)) </root/all)"
done
