#!/bin/bash
# A guest talks to a network beyond the host under the host's addresses, IPv4 and IPv6, and to nothing else; and the host
# is afterwards what it was before.
# files: network/wan.toml
# shellcheck disable=SC2317 # functions that check calls
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

play_internet
# On the host itself: one port that is open to the VM, and one that is not.
for port in 7 8; do socat "TCP6-LISTEN:$port,fork,ipv6only=0" EXEC:'echo of the host' & done

# Somebody else's, as a container engine has it.
cat >/root/other.nft <<'END'
table ip filter {
  chain DOCKER-USER { }
  chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }
}
END
nft --file /root/other.nft
before=$(host_state)

check "the VM starts" systemctl start vmsilo@wan
[[ $failures -eq 0 ]] || finish
check "its addresses are derived" holds "$(guest wan 'ip -color=never -brief address' | tr --squeeze-repeats ' ')" \
  " 10.200.0.97/31 fd5c:9a3e:71b0::61/127 "
check "it has as many queues as it was given" same "rx-0 rx-1 tx-0 tx-1" "$(guest wan 'ls /sys/class/net/wan/queues' | xargs)"
check "the host's, too" holds "$(ip -brief address show wan-22)" 10.200.0.96/31 fd5c:9a3e:71b0::60/127

# hears ADDRESS [PORT SECONDS] prints what the guest hears at port 7 there, or another; what is to be heard may take its time.
hears() { guest wan "timeout ${3:-30} bash -c 'cat </dev/tcp/$1/${2:-7}'"; }
why=$(vmsilo why wan)
check "what stands in the way is told" holds "$why" "wan is running" 'warning: chain "FORWARD" of table "ip filter" may drop' \
  "hint: iptables -I DOCKER-USER -i wan-22 -j ACCEPT; iptables -I DOCKER-USER -o wan-22 -j ACCEPT"
check "and does" same "" "$(hears 203.0.113.53 7 5)"
for way in iifname oifname; do nft add rule ip filter DOCKER-USER $way wan-22 accept; done
systemctl start vmsilo-resolver
check "who is let through is told of nothing" same 1 "$(vmsilo why wan | wc --lines)"
check "TCP, IPv4, under the host's address" same "hello 198.51.100.2" "$(hears 203.0.113.53)"
check "TCP, IPv6" same "hello [2001:0db8:0001:0000:0000:0000:0000:0002]" "$(hears 2001:db8:2::53)"
check "ping, IPv4" same ping "$(guest_ping wan AF_INET 1 8 203.0.113.53)"
check "ping, IPv6" same ping "$(guest_ping wan AF_INET6 58 128 2001:db8:2::53)"
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

echo "who follows the host's name servers is killed"
# shellcheck disable=SC2016 # for the stand-in
stand_in vmsilo-netdev '"$real" "$@" & sleep 0.005; kill -KILL $!; kill -STOP $$'
printf 'nameserver 203.0.113.53\n' >/etc/resolv.conf
check "midway" await stopped
restore
check "which is no secret" becomes '^failed$' systemctl is-active vmsilo-resolver
check "the guest has names meanwhile" grep --line-regexp '192\.0\.2\.5[34]' <<<"$(finds five.example)"
printf 'nameserver 203.0.113.53\nnameserver 2001:db8:2::53\n' >/etc/resolv.conf
check "the next change is followed" becomes 2001:db8:2::53 nft list chain inet vmsilo prerouting
check "by the guest, too" same 192.0.2.53 "$(finds six.example)"

echo "a new interface of the host"
# The guest has udev, and can tell what the host's rules do.
cp /usr/lib/udev/rules.d/70-vmsilo.rules /shared/wan/
guest wan 'cp /home/user/70-vmsilo.rules /run/udev/rules.d/ && udevadm control --reload'
guest wan 'printf "[Service]\nType=oneshot\nExecStart=touch /run/refreshed\n" >/run/systemd/system/vmsilo-resolver.service'
# property NAME INTERFACE prints what udev says of it, and wanted INTERFACE what it has systemd start for it.
property() { guest wan "udevadm info --query=property --property=$1 --value /sys/class/net/$2 | cat"; }
wanted() { property SYSTEMD_WANTS "$1"; }
guest wan 'ip tuntap add vm0 mode tap user 70099 && udevadm settle'
check "one of a VM is not told of" same "" "$(wanted vm0)"
check "which NetworkManager and systemd-networkd leave alone" same "1 org.vmsilo" "$(property NM_UNMANAGED vm0) $(property ID_NET_MANAGED_BY vm0)"
guest wan 'udevadm trigger --settle --action=change /sys/class/net/vm0'
check "for good" same "1 org.vmsilo" "$(property NM_UNMANAGED vm0) $(property ID_NET_MANAGED_BY vm0)"
check "nor has it anything started" fails guest wan 'test -e /run/refreshed'
guest wan 'ip tuntap add tap0 mode tap && udevadm settle'
check "another is" same "vmsilo-resolver.service " "$(wanted tap0) $(property NM_UNMANAGED tap0)"
check "and has the filters made anew" await guest wan 'test -e /run/refreshed'
guest wan 'ip tuntap del vm0 mode tap; ip tuntap del tap0 mode tap; rm /run/udev/rules.d/70-vmsilo.rules'

echo "what it does not reach"
check "a port of the host that is open to it" same "of the host" "$(hears 10.200.0.96)"
check "the same, IPv6" same "of the host" "$(hears fd5c:9a3e:71b0::60)"
for address in 10.200.0.96 198.51.100.2 fd5c:9a3e:71b0::60 2001:db8:1::2; do
  check "one that is not, at $address" same "" "$(hears "$address" 8 5)"
done
check "nor does the internet reach it" fails ip netns exec internet timeout 2 \
  socat -u OPEN:/dev/null "TCP:10.200.0.97:5000,connect-timeout=1"

echo "other people's tables"
filters() { nft list ruleset | grep --invert-match --regexp='192\.0\.2\.' | sed 's/ # .*//'; }
rules=$(filters)
# The service that puts them back runs after nftables.service, which does not wait for it.
back() { [[ $(filters | sort) == "$(sort <<<"$rules")" ]]; }
{ echo 'flush ruleset' && nft list table ip filter; } >/etc/nftables.conf
for verb in start restart reload; do
  check "nftables.service: $verb" systemctl $verb nftables
  check "the filters are back" await back
  check "all of them" same "$(sort <<<"$rules")" "$(filters | sort)"
done
check "the guest goes on" same "hello 198.51.100.2" "$(hears 203.0.113.53)"

echo "afterwards"
ip link delete wan-22
check "who removes its TAP is told of" holds "$(vmsilo why wan)" "wan is running" "somebody has removed wan-22, the TAP of its interface wan" \
  "hint: systemctl restart vmsilo@wan.service"
check "and is in nobody's way" systemctl start vmsilo-resolver
check "the VM stops" systemctl stop vmsilo@wan
check "nothing is left of it" nothing_left
systemctl stop nftables
nft --file /root/other.nft
check "the host is what it was" diff <(echo "$before") <(host_state)
check "nobody follows the host's name servers any more" await fails systemctl is-active vmsilo-resolver.path
finish
