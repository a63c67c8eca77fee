#!/bin/bash
# A hostile guest sends by raw sockets what it may not send, on each kind of link, and nothing of it arrives; and all of it does
# once the filter is removed that is there for it. Afterwards the host is what it was before.
# host: --go=attacks
# files: attacks/*.toml
# shellcheck disable=SC2317 # functions that check calls
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

tiny_image /srv/image
# Somebody else's bridge, where the host has an address; port0 leads to the others there.
ip netns add lan
ip link add br0 type bridge
ip link add port0 type veth peer name lan netns lan
ip link set port0 master br0
for link in br0 port0; do ip link set $link up; done
ip -netns lan link set lan up
ip address add 10.9.0.1/24 dev br0
ip address add fd09::1/64 dev br0 nodad
ip address add 198.51.100.2/32 dev lo
ip address add 2001:db8:1::2/128 dev lo
# What arrives without the filter is not to change the host for good.
sysctl --quiet --write net.ipv6.conf.br0.accept_ra=0 net.ipv6.conf.br0.accept_redirects=0 net.ipv4.conf.br0.accept_redirects=0
check "the links are up" await have_addresses br0 port0
before=$(host_state)

check "neighbours start, one of whom is a netvm" eval 'tiny_start bob && tiny_start carol'
check "the hostile VM starts" systemctl start vmsilo@mallory
[[ $failures -eq 0 ]] || finish

# The host knows its neighbour, and need not ask for it.
for address in 10.200.0.131 fd5c:9a3e:71b0::83; do
  ip neighbour replace $address lladdr 52:00:00:00:02:02 dev bob-23 nud permanent
done

for address in 10.9.0.3 fd09::3; do
  ip neighbour replace $address lladdr 52:00:00:00:02:01 dev br0 nud permanent
done
# What it sends back to the hostile VM, which holds what that has sent, goes nowhere else once ARP is not filtered.
for address in 10.9.0.2 fd09::2; do
  ip neighbour replace $address lladdr 52:00:00:00:01:01 dev br0 nud permanent
done

# Nor does the bridge forget where it is, whoever says that it is elsewhere once the filter is gone. Static is not enough: only
# what is sticky does not roam, br_fdb_update() of net/bridge/br_fdb.c.
bridge fdb replace 52:00:00:00:02:01 dev bob-22 master static sticky
bridge fdb replace 52:00:00:00:03:01 dev carol-22 master static sticky

# mac_of DEVICE prints the host's address there.
mac_of() { cat "/sys/class/net/$1/address"; }

# What is sent. Of each link: where it is counted, the guest's own addresses, a neighbour's, and the host's.
{
  echo "frames routed wan 10.200.0.99 fd5c:9a3e:71b0::63 52:00:00:00:02:02 10.200.0.131 fd5c:9a3e:71b0::83 10.200.0.98 fd5c:9a3e:71b0::62"
  echo "frames bridge lan0 10.9.0.2 fd09::2 52:00:00:00:02:01 10.9.0.3 fd09::3 10.9.0.1 fd09::1"
  echo "frames netvm zone 10.200.0.101 fd5c:9a3e:71b0::65 52:00:00:00:03:01 10.200.0.161 fd5c:9a3e:71b0::a1 10.200.0.159 fd5c:9a3e:71b0::9f"
  # A neighbour: through the host, and straight.
  echo "udp bad routed-neighbour wan $(mac_of mallory-23) 10.200.0.99 10.200.0.131 9"
  echo "udp bad routed-neighbour wan $(mac_of mallory-23) fd5c:9a3e:71b0::63 fd5c:9a3e:71b0::83 9"
  for hop in 52:00:00:00:02:01 ff:ff:ff:ff:ff:ff; do
    echo "udp bad bridge-neighbour lan0 $hop 10.9.0.2 10.9.0.3 9"
    echo "udp bad bridge-neighbour lan0 $hop fd09::2 fd09::3 9"
  done
  # Around the isolation of the ports, through the host, which takes these addresses for its own.
  for hop in $(mac_of br0) $(mac_of mallory-22); do
    echo "udp bad bridge-detour lan0 $hop 10.9.0.2 10.9.0.3 9"
    echo "udp bad bridge-detour lan0 $hop fd09::2 fd09::3 9"
  done
  for hop in 52:00:00:00:03:01 ff:ff:ff:ff:ff:ff; do
    echo "udp bad netvm-neighbour zone $hop 10.200.0.101 10.200.0.161 9"
    echo "udp bad netvm-neighbour zone $hop fd5c:9a3e:71b0::65 fd5c:9a3e:71b0::a1 9"
  done
  # A port of the host that is open to everybody but guests, on a link that it has no part in.
  echo "udp bad netvm-port zone $(mac_of bob-br) 10.200.0.101 198.51.100.2 9"
  echo "udp bad netvm-port zone $(mac_of bob-br) fd5c:9a3e:71b0::65 2001:db8:1::2 9"
  echo "tcp bad netvm-port 198.51.100.2 9"
  # The host's ports, on all of its addresses: one is open to this VM, the other is not.
  for port in 'good 7' 'bad 8'; do
    read -r kind number <<<"$port"
    while read -r ifname device own address; do
      echo "udp $kind port $ifname $(mac_of "$device") $own $address $number"
      [[ $address == *:* ]] && other=2001:db8:1::2 || other=198.51.100.2
      echo "udp $kind port $ifname $(mac_of "$device") $own $other $number"
      echo "tcp $kind port $address $number"
    done <<-'LINKS'
		lan0 br0 10.9.0.2 10.9.0.1
		lan0 br0 fd09::2 fd09::1
		wan mallory-23 10.200.0.99 10.200.0.98
		wan mallory-23 fd5c:9a3e:71b0::63 fd5c:9a3e:71b0::62
	LINKS
  done
} >/shared/mallory/all
install /usr/local/bin/attacks /shared/mallory/
# The guest takes the host for its netvm.
guest mallory "ip neighbour replace 10.200.0.159 lladdr $(mac_of bob-br) dev zone nud permanent"
guest mallory 'ip route replace 198.51.100.2 via 10.200.0.159 dev zone'

# Where it is counted: on a routed link behind its filter, on a bridge where it leads to others, in front of a netvm, and
# in front of the neighbours.
attacks watch behind:routed=mallory-23 into:bridge=port0 into:netvm=bob-37 into:routed-neighbour=bob-23 into:bridge-neighbour=bob-22 \
  into:bridge-detour=bob-22 \
  into:netvm-neighbour=carol-22 port:port=7 port:port=8 port:netvm-port=9 >>/run/arrived 2>&1 &
watcher=$!
check "what arrives is watched" await grep --quiet '^watching$' /run/arrived

# arrives PLACE… has the guest send everything. It succeeds when what the guest may send arrives, and of the attacks all at these places
# and no other.
arrives() {
  local place want try
  want=$(
    attacks list /shared/mallory/all | sed -n 's/^good //p'
    for place; do attacks list /shared/mallory/all | sed -n "s/^bad \($place: \)/\1/p"; done
  )
  : >/run/arrived
  guest mallory '/home/user/attacks send /home/user/all' || return 1
  # What the guest may send was sent last: when it is there, all else is that was to come.
  for try in {1..100}; do
    diff <(sort --unique <<<"$want") <(sort --unique /run/arrived) >/run/differs && return
    sleep 0.1
  done
  cat /run/differs && return 1
}

for kind in good bad; do echo "$kind: $(attacks list /shared/mallory/all | grep --count "^$kind")"; done
check "no attack arrives" arrives

# Each filter is removed in turn. Attacks that it is there for arrive then, and no other.
without() {
  local places=$1
  shift
  "$@"
  # shellcheck disable=SC2086 # one word each
  check "after $*: all attacks on $places, and no other" arrives $places
  systemctl start vmsilo-resolver
}
without routed nft delete table netdev vmsilo-mallory-23
without bridge nft delete table netdev vmsilo-mallory-22
without netvm nft delete table netdev vmsilo-mallory-24
without "routed-neighbour port" nft delete table inet vmsilo
open_detour() { nft 'delete chain netdev vmsilo-mallory-22 detour; delete table inet vmsilo'; }
without "bridge-detour routed-neighbour port" open_detour
# The host has no address there, no IPv6, and no way back.
open_netvm() {
  nft 'delete table netdev vmsilo-bob-br; delete table inet vmsilo'
  sysctl --quiet --write net.ipv6.conf.bob-br.disable_ipv6=0
  ip route replace 10.200.0.101 dev bob-br
}
without "netvm-port routed-neighbour port" open_netvm
without netvm-neighbour bridge link set dev mallory-24 isolated off
bridge link set dev mallory-24 isolated on
without bridge-neighbour bridge link set dev mallory-22 isolated off
bridge link set dev mallory-22 isolated on
check "with all of them again: no attack arrives" arrives
kill $watcher

echo "afterwards"
check "the VMs stop" systemctl stop vmsilo@mallory vmsilo@carol vmsilo@bob
check "nothing is left of them" nothing_left
check "the host is what it was" diff <(echo "$before") <(host_state)
finish
