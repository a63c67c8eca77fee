#!/bin/bash
# Netvms: when they start and stop, what their clients have of them whatever becomes of them, and a chain of two through which
# a guest reaches a network and nothing else.
# files: netvm/*.toml
# shellcheck disable=SC2317 # functions that check calls
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

is() { same "$2" "$(systemctl is-active "vmsilo@$1")"; }
# at VM PROPERTY prints when something was, in microseconds.
at() { systemctl show --property="$2TimestampMonotonic" --value "vmsilo@$1"; }
# start_leaf starts leaf, and says in the place of the guests that they are up.
start_leaf() {
  systemctl start vmsilo@leaf &
  { [[ $1 == alone ]] || ready hub; } && ready leaf && wait $!
}
# restarts VM restarts a tiny one.
restarts() {
  local before
  before=$(helper_of "$1")
  systemctl restart "vmsilo@$1" &
  await another "$1" "$before" && ready "$1" && wait $!
}
# refuses TEXT tells whether leaf does not start, for a reason that the journal has, and leaves nothing.
refuses() {
  local since=$EPOCHREALTIME
  ! systemctl start vmsilo@leaf || { echo "it starts" && return 1; }
  holds "$(journalctl --since="@$since" --output=cat --unit='vmsilo-netdev@leaf:eth0')" "$1" && nothing_left leaf
}
port() { bridge -d link show dev "$1"; }

play_internet
tiny_image /srv/tiny
systemctl daemon-reload
before=$(host_state)

echo "a client and its netvm"
check "the netvm starts before its client" start_leaf
[[ $failures -eq 0 ]] || finish
check "and is up before that begins" test "$(at hub ActiveEnter)" -lt "$(at leaf InactiveExit)"
check "the client's port is isolated" holds "$(port leaf-22)" "master hub-br" "isolated on"
check "the netvm's is not" holds "$(port hub-37)" "master hub-br" "isolated off"
check "the host has no address there" same "hub-br UP" "$(ip -brief address show hub-br | xargs)"
hub=$(helper_of hub)
check "the client restarts" restarts leaf
for _ in {1..3}; do systemctl daemon-reload; done
check "which is nothing to the netvm" same "$hub" "$(helper_of hub)"
check "the client stops" systemctl stop vmsilo@leaf
check "and its netvm after it" becomes '^(inactive)$' systemctl is-active vmsilo@hub
check "nothing is left of both" nothing_left

echo "a netvm that somebody has started"
check "it starts" tiny_start hub
check "its client, too" start_leaf alone
check "the client stops" systemctl stop vmsilo@leaf
sleep 2
check "the netvm stays" is hub active

echo "what becomes of a client without its netvm"
check "the client starts again" start_leaf alone
leaf=$(helper_of leaf)
kill -KILL "$(vmm_of hub)"
check "the netvm is killed" becomes '^failed$' systemctl is-active vmsilo@hub
check "its own parts are gone" await test ! -e /sys/class/net/hub-37
check "the client runs on" same "$leaf" "$(helper_of leaf)"
check "vmsilo why says what it lacks" holds "$(vmsilo why leaf)" "its netvm hub does not run, but is failed" "hint: systemctl start vmsilo@hub.service"
check "on the same bridge" holds "$(port leaf-22)" "master hub-br" "isolated on"
check "the netvm is back" tiny_start hub
check "on that bridge" holds "$(port hub-37)" "master hub-br" "isolated off"
check "the netvm restarts" restarts hub
check "the netvm stops" systemctl stop vmsilo@hub
check "the client runs on through all of that" same "active $leaf" "$(systemctl is-active vmsilo@leaf) $(helper_of leaf)"
check "the netvm is back again" tiny_start hub

echo "a netvm whose file goes"
mv /etc/vmsilo/hub.toml /root
systemctl daemon-reload
check "both run on" same "active active" "$(systemctl is-active vmsilo@hub vmsilo@leaf | xargs)"
check "the client stops" systemctl stop vmsilo@leaf
check "it does not start again" fails systemctl start vmsilo@leaf
journalctl --sync
check "the reason is told" holds "$(systemctl status vmsilo@leaf)" 'there is no VM "hub" to be the netvm'
check "the netvm stops" systemctl stop vmsilo@hub
check "nothing is left of both" nothing_left

echo "a netvm that does not start"
printf 'id = 10\nmemory = 5\n' >/etc/vmsilo/hub.toml
systemctl daemon-reload
check "its client does not, and says so" refuses 'netvm "hub" is not there: its TAP "hub-37" is no port of bridge "hub-br"'
mv /root/hub.toml /etc/vmsilo

echo "a netvm that was none when it started"
mv /etc/vmsilo/leaf.toml /root
systemctl daemon-reload
check "it starts" tiny_start hub
mv /root/leaf.toml /etc/vmsilo
systemctl daemon-reload
check "its client says what to do" refuses "it was started before it had clients: systemctl restart vmsilo@hub"
check "it restarts" restarts hub
check "and has the client" start_leaf alone
systemctl stop vmsilo@leaf vmsilo@hub

echo "a netvm that starts at boot"
echo "autostart = true" | cat - /etc/vmsilo/hub.toml >/root/hub.toml && mv /root/hub.toml /etc/vmsilo/hub.toml
systemctl daemon-reload
systemctl start vmsilo.target &
check "it starts" ready hub
wait $!
check "its client, too" start_leaf alone
systemctl stop vmsilo@hub
check "its client stops while it is away" systemctl stop vmsilo@leaf
check "it is started by the client" start_leaf
check "the client stops" systemctl stop vmsilo@leaf
sleep 2
check "it stays" is hub active
systemctl stop vmsilo@hub
check "nothing is left of both" nothing_left

echo "a chain"
check "the VM starts behind two netvms" systemctl start vmsilo@app
[[ $failures -eq 0 ]] || finish
check "one after the other" in_order "$(for vm in app net vpn; do echo "$(at $vm ActiveEnter) $vm"; done | sort --numeric-sort)" net vpn app
check "addresses are derived" holds "$(guest app 'ip -color=never -brief address' | tr --squeeze-repeats ' ')" \
  " 10.200.0.161/31 fd5c:9a3e:71b0::a1/127 "
check "the netvm's, too" holds "$(guest vpn 'ip -color=never -brief address' | tr --squeeze-repeats ' ')" \
  " 10.200.0.129/31 fd5c:9a3e:71b0::81/127 " " 10.200.0.159/13 fd5c:9a3e:71b0::9f/48 "
check "its place, too" holds "$(guest vpn 'readlink -f /sys/class/net/clients/device')" /0000:00:01.1/
check "an MTU" holds "$(guest vpn 'cat /sys/class/net/up/mtu /sys/class/net/clients/mtu' | xargs)" "1400 1500"
# hears VM ADDRESS PORT prints what the guest hears there.
hears() { guest "$1" "timeout 30 bash -c 'cat </dev/tcp/$2/$3'"; }
# reaches_all tells whether the last of the chain has the network.
reaches_all() {
  same "hello 198.51.100.2" "$(hears app 203.0.113.53 7)" &&
    same "hello [2001:0db8:0001:0000:0000:0000:0000:0002]" "$(hears app 2001:db8:2::53 7)"
}
check "TCP, IPv4 and IPv6" reaches_all
check "ping, IPv4" same ping "$(guest_ping app AF_INET 1 8 203.0.113.53)"
check "ping, IPv6" same ping "$(guest_ping app AF_INET6 58 128 2001:db8:2::53)"
# finds NAME prints its address, as the guest finds it.
finds() { guest app "resolvectl query --legend=no $1 | sed -n 's/^[^ ]*: \([0-9.]*\).*/\1/p' | head -n 1"; }
check "a name" same 192.0.2.53 "$(finds one.example)"
guest app 'printf "[Resolve]\nDNS=\nDNS=fd5c:9a3e:71b0::9f\n" >/run/systemd/resolved.conf.d/90-six.conf; systemctl restart systemd-resolved'
check "by IPv6" same 192.0.2.53 "$(finds two.example)"

echo "what it does not reach"
socat "TCP6-LISTEN:8,fork,ipv6only=0" EXEC:'echo of the host' &
# hears_any VM PORT ADDRESS… prints what the guest hears at any of them, all of which it tries at once.
hears_any() { guest "$1" "for to in ${*:3}; do timeout 5 bash -c \"cat </dev/tcp/\$to/$2\" & done; wait"; }
check "the host, at any of its addresses" same "" "$(hears_any app 8 10.200.0.96 198.51.100.2 fd5c:9a3e:71b0::60 2001:db8:1::2)"
for vm in vpn net; do
  guest $vm "nohup perl -MIO::Socket::IP -e 'my \$l = IO::Socket::IP->new(LocalHost => q(::), LocalPort => 9, Listen => 5, V6Only => 0, ReuseAddr => 1) or die;
    while (my \$c = \$l->accept) { print \$c qq(of $vm\n) }' >/dev/null 2>&1 &"
done
check "(a netvm itself does)" becomes "^of net$" hears net 10.200.0.127 9
check "netvms, at any of theirs" same "" \
  "$(hears_any app 9 10.200.0.159 fd5c:9a3e:71b0::9f 10.200.0.129 10.200.0.127 fd5c:9a3e:71b0::7f 10.200.0.97)"
check "nor do they ping back" fails same ping "$(guest_ping app AF_INET 1 8 10.200.0.159)"
check "a neighbour joins while its netvm runs" bash -c 'sed -i "s/hub/net/" /etc/vmsilo/leaf.toml && systemctl daemon-reload'
check "and starts" start_leaf alone
mac=52:$(printf leaf-eth0 | sha1sum | sed 's/^\(..\)\(..\)\(..\)\(..\)\(..\).*/\1:\2:\3:\4:\5/')
# What goes out of its TAP with the mark in it: ETH_P_ALL, and a struct sockaddr_ll.
perl -e 'socket(S, 17, 3, 0x0300) && bind(S, pack("SnlSCCx8", 17, 3, shift, 0, 0, 0)) or die "$!"; $| = 1;
  while (recv(S, my $frame, 2000, 0), 1) { print "it got through\n" if $frame =~ /the mark/ }' \
  "$(cat /sys/class/net/leaf-22/ifindex)" >/root/seen 2>&1 &
# Nobody has to ask for it.
guest net "for a in 10.200.1.97 fd5c:9a3e:71b0::161; do ip neigh replace \$a lladdr $mac dev clients; done"
# sends VM INTERFACE GATEWAY… has a guest send the mark to the neighbour, straight or by a gateway of each family.
sends() {
  guest "$1" "for a in 10.200.1.97 fd5c:9a3e:71b0::161; do
    via=$3; [ \${a%%:*} != fd5c ] || via=$4
    ip neigh replace \$a lladdr $mac dev $2; ip route replace \$a \${via:+via \$via} dev $2 \${via:+onlink}
    for try in 1 2 3; do echo the mark >/dev/udp/\$a/7; sleep 0.3; done
  done"
}
check "a client sends it something, straight" sends vpn up
check "and by way of their netvm" sends vpn up 10.200.0.127 fd5c:9a3e:71b0::7f
check "the neighbour gets nothing" same "" "$(cat /root/seen)"
check "but from the netvm itself" sends net clients
check "it does" becomes 'it got through' cat /root/seen

echo "a netvm that crashes"
app=$(helper_of app) vpn=$(helper_of vpn)
kill -KILL "$(vmm_of net)"
check "it is gone" becomes '^failed$' systemctl is-active vmsilo@net
check "it starts again" systemctl start vmsilo@net
check "its clients have run on" same "active active $app $vpn" "$(systemctl is-active vmsilo@app vmsilo@vpn | xargs) $(helper_of app) $(helper_of vpn)"
check "and reach the network again" reaches_all

echo "the end"
check "the VM stops" systemctl stop vmsilo@app
check "its netvm after it" becomes '^inactive$' systemctl is-active vmsilo@vpn
check "the other has a client yet" is net active
check "that stops, too" systemctl stop vmsilo@leaf
check "so does the last netvm" becomes '^inactive$' systemctl is-active vmsilo@net
check "they stopped one after the other" in_order \
  "$(journalctl --boot --output=cat --unit=vmsilo@app --unit=vmsilo@vpn --unit=vmsilo@net --grep='^Stopped ')" vmsilo@app vmsilo@vpn vmsilo@net
check "nothing is left" nothing_left
check "the host is what it was" diff <(echo "$before") <(host_state)
finish
