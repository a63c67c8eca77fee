#!/bin/bash
# A guest talks to a network beyond the host under the host's addresses, IPv4 and IPv6, and to nothing else; and the host
# is afterwards what it was before.
# files: network/wan.toml
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# A namespace plays the internet, and has a name server on two addresses of each family, each with an answer of its own.
install --mode=755 /dev/stdin /usr/local/bin/name-server <<'END'
#!/usr/bin/perl
# name-server ADDRESS ANSWER answers each question for an address with the same one.
use Socket qw(:all);
my ($address, $answer) = @ARGV;
my $v6 = $address =~ /:/;
socket(S, $v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0) or die;
bind(S, $v6 ? pack_sockaddr_in6(53, inet_pton(AF_INET6, $address)) : pack_sockaddr_in(53, inet_aton($address))) or die "$!";
while (my $from = recv(S, my $question, 512, 0)) {
  # The question is a name, a type and a class; what follows it are options.
  my ($end) = (index($question, "\0", 12));
  my ($id, $asked) = (substr($question, 0, 2), substr($question, 12, $end - 12 + 5));
  my $type = unpack("n", substr($asked, -4, 2));
  my $data = $type == 1 ? inet_aton($answer) : "";
  my $record = $data eq "" ? "" : pack("nnnNn", 0xc00c, 1, 1, 0, 4) . $data;
  send(S, $id . pack("n5", 0x8180, 1, $record eq "" ? 0 : 1, 0, 0) . $asked . $record, 0, $from);
}
END
# shellcheck disable=SC2016 # for the program
printf '#!/bin/sh\necho hello "$SOCAT_PEERADDR"\n' | install --mode=755 /dev/stdin /usr/local/bin/greet
ip netns add internet
ip link add eth9 type veth peer name peer netns internet
ip address add 198.51.100.2/24 dev eth9
ip address add 2001:db8:1::2/64 dev eth9 nodad
ip link set eth9 up
ip route add default via 198.51.100.1
ip -6 route add default via 2001:db8:1::1
ip -netns internet link set lo up
ip -netns internet address add 198.51.100.1/24 dev peer
ip -netns internet address add 2001:db8:1::1/64 dev peer nodad
for address in 203.0.113.53/32 203.0.113.54/32 2001:db8:2::53/128 2001:db8:2::54/128; do
  ip -netns internet address add "$address" dev lo
done
ip -netns internet link set peer up
for each in '203.0.113.53 192.0.2.53' '2001:db8:2::53 192.0.2.53' '203.0.113.54 192.0.2.54' '2001:db8:2::54 192.0.2.54'; do
  # shellcheck disable=SC2086 # two words
  ip netns exec internet name-server $each &
done
for address in 203.0.113.53 '[2001:db8:2::53]'; do
  ip netns exec internet socat "TCP-LISTEN:7,fork,bind=$address,pf=$([[ $address == \[* ]] && echo ip6 || echo ip4)" \
    EXEC:/usr/local/bin/greet &
done
printf 'nameserver 203.0.113.53\nnameserver 2001:db8:2::53\n' >/etc/resolv.conf
# On the host itself: one port that is open to the VM, and one that is not.
for port in 7 8; do socat "TCP6-LISTEN:$port,fork,ipv6only=0" EXEC:'echo of the host' & done

# host prints all that a VM must leave as it was.
host() {
  nft list ruleset
  ip -brief link | awk '{ print $1, $3 }'
  grep -r '' /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/ip_forward 2>/dev/null | sort
}
# Somebody else's, as a container engine has it.
cat >/root/other.nft <<'END'
table ip filter {
  chain DOCKER-USER { }
  chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }
}
END
nft --file /root/other.nft
sleep 2 # the addresses of the link are there
before=$(host)

check "the VM starts" systemctl start vmsilo@wan
[[ $failures -eq 0 ]] || finish
check "its addresses are derived" holds "$(guest wan 'ip -color=never -brief address' | tr --squeeze-repeats ' ')" \
  " 10.200.0.97/31 fd5c:9a3e:71b0::61/127 "
check "the host's, too" holds "$(ip -brief address show wan-22)" 10.200.0.96/31 fd5c:9a3e:71b0::60/127

# hears ADDRESS prints what the guest hears at port 7 there.
hears() { guest wan "timeout 5 bash -c 'cat </dev/tcp/$1/${2:-7}'"; }
why=$(vmsilo why wan)
check "what stands in the way is told" holds "$why" "wan is running" 'warning: chain "FORWARD" of table "ip filter" may drop' \
  "hint: iptables -I DOCKER-USER -i wan-22 -j ACCEPT; iptables -I DOCKER-USER -o wan-22 -j ACCEPT"
check "and does" same "" "$(hears 203.0.113.53)"
for way in iifname oifname; do nft add rule ip filter DOCKER-USER $way wan-22 accept; done
check "TCP, IPv4, under the host's address" same "hello 198.51.100.2" "$(hears 203.0.113.53)"
check "TCP, IPv6" same "hello [2001:0db8:0001:0000:0000:0000:0000:0002]" "$(hears 2001:db8:2::53)"
guest wan 'sysctl -qw net.ipv4.ping_group_range="0 2147483647"'
# ping FAMILY PROTOCOL TYPE ADDRESS of the guest: with the kernel's own sockets for that.
ping() {
  guest wan "perl -MSocket=:all -e 'alarm 5; socket(S, $1, SOCK_DGRAM, $2) or die qq(\$!);
    my (undef, \$to) = getaddrinfo(qq($4), 7, {flags => AI_NUMERICHOST}); send(S, pack(qq(CCnnn), $3, 0, 0, 1, 1) . qq(ping), 0, \$to->{addr});
    recv(S, my \$a, 100, 0); print substr(\$a, 8) . qq(\n)'"
}
check "ping, IPv4" same ping "$(ping AF_INET 1 8 203.0.113.53)"
check "ping, IPv6" same ping "$(ping AF_INET6 58 128 2001:db8:2::53)"
sleep 35 # The host forgets where its guest is, and has to find it again.
check "some time later, IPv6" same "hello [2001:0db8:0001:0000:0000:0000:0000:0002]" "$(hears 2001:db8:2::53)"

echo "names"
# finds NAME prints its address, as the guest finds it.
finds() { guest wan "resolvectl query --legend=no $1 | sed -n 's/^[^ ]*: \([0-9.]*\).*/\1/p' | head -n 1"; }
check "a name, by the host's name server" same 192.0.2.53 "$(finds one.example)"
guest wan 'printf "[Resolve]\nDNS=\nDNS=fd5c:9a3e:71b0::60\n" >/run/systemd/resolved.conf.d/90-six.conf; systemctl restart systemd-resolved'
check "by IPv6" same 192.0.2.53 "$(finds two.example)"
printf 'nameserver 203.0.113.54\nnameserver 2001:db8:2::54\n' >/etc/resolv.conf
check "the host changes its name server" becomes 203.0.113.54 nft list chain inet vmsilo prerouting
check "the guest uses the new one, IPv6" same 192.0.2.54 "$(finds three.example)"
guest wan 'rm /run/systemd/resolved.conf.d/90-six.conf; systemctl restart systemd-resolved'
check "and IPv4" same 192.0.2.54 "$(finds four.example)"

echo "what it does not reach"
check "a port of the host that is open to it" same "of the host" "$(hears 10.200.0.96)"
check "the same, IPv6" same "of the host" "$(hears fd5c:9a3e:71b0::60)"
for address in 10.200.0.96 198.51.100.2 fd5c:9a3e:71b0::60 2001:db8:1::2; do
  check "one that is not, at $address" same "" "$(hears "$address" 8)"
done
check "nor does the internet reach it" fails ip netns exec internet timeout 2 \
  socat -u OPEN:/dev/null "TCP:10.200.0.97:5000,connect-timeout=1"

echo "other people's tables"
filters() { nft list ruleset | grep --invert-match --regexp='192\.0\.2\.' | sed 's/ # .*//'; }
rules=$(filters)
{ echo 'flush ruleset' && nft list table ip filter; } >/etc/nftables.conf
for verb in start restart reload; do
  check "nftables.service: $verb" systemctl $verb nftables
  check "the filters are back" await bash -c 'nft list table netdev vmsilo-wan-22 >/dev/null 2>&1'
  check "all of them" same "$(sort <<<"$rules")" "$(filters | sort)"
done
check "the guest goes on" same "hello 198.51.100.2" "$(hears 203.0.113.53)"

echo "afterwards"
check "the VM stops" systemctl stop vmsilo@wan
check "nothing is left of it" nothing_left
systemctl stop nftables
nft --file /root/other.nft
check "the host is what it was" diff <(echo "$before") <(host)
check "nobody follows the host's name servers any more" await fails systemctl is-active vmsilo-resolver.path
finish
