package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// world has a netvm with the clients a and b and the network far, each a network namespace, and prints what each reaches. The
// rules are on standard input.
const world = `
set -e
mount -t tmpfs tmpfs /run
ip link set lo up
sysctl -qw net.ipv6.conf.default.accept_dad=0
for ns in a b far; do
  ip netns add $ns
  ip -netns $ns link set lo up
  ip netns exec $ns sysctl -qw net.ipv6.conf.default.accept_dad=0
done
ip link add clients type bridge
ip link add out type veth peer name in netns far
for ns in a b; do
  ip link add to-$ns type veth peer name eth0 netns $ns
  ip link set to-$ns master clients up
  bridge link set dev to-$ns isolated on
done
address() { ip $1 address add $2 dev $3; ip $1 address add $4 dev $3 nodad; ip $1 link set $3 up; }
address "" 10.9.0.254/16 clients fd09::fe/48
address "" 10.8.0.1/24 out fd08::1/64
address "-netns far" 10.8.0.2/24 in fd08::2/64
address "-netns a" 10.9.0.2/31 eth0 fd09::2/127
address "-netns b" 10.9.1.2/31 eth0 fd09::1:2/127
for ns in a b; do
  ip -netns $ns route add default via 10.9.0.254 dev eth0 onlink
  ip -netns $ns -6 route add default via fd09::fe dev eth0 onlink
done
ip -netns far route add 10.9.0.0/16 via 10.8.0.1
ip -netns far -6 route add fd09::/48 via fd08::1
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
nft --file -
listen='use IO::Socket::IP; my @all = map { IO::Socket::IP->new(LocalHost => "::", LocalPort => $_, Listen => 9, V6Only => 0) or die } 53, 7;
  print STDERR "up\n"; while (1) { for (@all) { $_->blocking(0); if (my $c = $_->accept) { print $c $c->peerhost =~ s/::ffff://r, "\n"; close $c } } select(undef, undef, undef, 0.01) }'
for ns in a b far; do ip netns exec $ns perl -e "$listen" 2>/run/$ns & done
perl -e "$listen" 2>/run/netvm &
for each in a b far netvm; do until grep -qs up /run/$each; do sleep 0.05; done; done
n=10
try() { n=$((n+1)); echo "$1 $2 $3: $(ip netns exec $1 timeout 3 bash -c "cat </dev/tcp/$2/$3" 2>/dev/null)" >/run/try-$n & tries="$tries $!"; }
for to in 10.8.0.2 fd08::2; do try a $to 7; done
for to in 10.9.0.254 fd09::fe 10.8.0.1 fd08::1; do try a $to 53; done
for to in 10.9.0.254 fd09::fe; do try a $to 7; done
for to in 10.9.1.2 fd09::1:2; do try a $to 7; done
for to in 10.9.0.2 fd09::2 10.8.0.1; do try far $to 7; done
wait $tries
cat /run/try-*
`

// runWorld returns what world prints with these rules.
func runWorld(t *testing.T, rules string) string {
	t.Helper()
	command := exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", world)
	command.Stdin = strings.NewReader(rules)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// Clients reach what is beyond their netvm, under its addresses, and its answers for names. They do not reach each other by way
// of it, nor anything else of it, and nobody beyond it reaches them. Without the rules each of these does.
func TestRules(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: a network namespace needs root")
	}
	want := `a 10.8.0.2 7: 10.8.0.1
a fd08::2 7: fd08::1
a 10.9.0.254 53: 10.9.0.2
a fd09::fe 53: fd09::2
a 10.8.0.1 53: 
a fd08::1 53: 
a 10.9.0.254 7: 
a fd09::fe 7: 
a 10.9.1.2 7: 
a fd09::1:2 7: 
far 10.9.0.2 7: 
far fd09::2 7: 
far 10.8.0.1 7: 10.8.0.2
`
	if got := runWorld(t, rules("clients")); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	want = `a 10.8.0.2 7: 10.9.0.2
a fd08::2 7: fd09::2
a 10.9.0.254 53: 10.9.0.2
a fd09::fe 53: fd09::2
a 10.8.0.1 53: 10.9.0.2
a fd08::1 53: fd09::2
a 10.9.0.254 7: 10.9.0.2
a fd09::fe 7: fd09::2
a 10.9.1.2 7: 10.9.0.2
a fd09::1:2 7: fd09::2
far 10.9.0.2 7: 10.8.0.2
far fd09::2 7: fd08::2
far 10.8.0.1 7: 10.8.0.2
`
	if got := runWorld(t, ""); got != want {
		t.Errorf("without rules: got\n%swant\n%s", got, want)
	}
}

// nft takes the rules of an interface with an odd name.
func TestRulesOfOddName(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: a network namespace needs root")
	}
	command := exec.Command("unshare", "--net", "nft", "--file", "-")
	command.Stdin = strings.NewReader(rules("9a.b-c_d"))
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
