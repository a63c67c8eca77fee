#!/bin/bash
# A guest's windows on a compositor of the host, which comes later than the guest, and restarts.
# host: --release=desktop --image=debian-13-desktop
# files: wayland/*.toml
# shellcheck disable=SC2317 # some functions are called by name
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# windows prints the app id and the process of each window.
windows() { compositor_ask -t get_tree | jq -r '.. | objects | select(.app_id?) | "\(.app_id) \(.pid)"'; }

# unit_of PID prints the unit that a process is of.
unit_of() { systemctl whoami "$1"; }

# globals SOCKET prints what is offered to a program of alice's that connects there.
globals() { desktop timeout 60 env WAYLAND_DISPLAY="$1" wayland-info | interfaces; }
interfaces() { sed -n "s/^interface: '\([a-z0-9_]*\)'.*/\1/p" | sort -u; }

# blue counts what has the colour of the guest's terminal on the screen, which is 480000 pixels.
blue() { desktop env "$(compositor_display)" grim -t ppm - | tail --bytes=+16 | od -An -v -tx1 -w3 | grep --count '20 50 80'; }

# terminal shows a terminal of the guest's, as long as that has its compositor.
terminal() { desktop vmsilo run a foot --override=colors.background=205080 sh -c 'echo this is a guest; exec sleep infinity' >"$1" 2>&1 & }

# connections SOCKET COUNT opens so many, and prints how many are not closed at once: within three seconds after another was.
connections() {
  perl -MSocket -MIO::Select -e '
    my ($path, $count) = @ARGV;
    my ($closed, @all) = (0);
    for (1 .. $count) {
      my $s;
      socket($s, AF_UNIX, SOCK_STREAM, 0) && connect($s, pack_sockaddr_un($path)) or next;
      push @all, $s;
    }
    for (my $before = -1; $before != $closed;) {
      ($before, $closed) = ($closed, 0);
      sleep 3;
      for (@all) { $closed++ if IO::Select->new($_)->can_read(0) && !sysread($_, my $byte, 1) }
    }
    print scalar(@all) - $closed, "\n";' "$1" "$2"
}

echo "a guest without a compositor"
check "it starts" systemctl start vmsilo@a
terminal /run/terminal
check "what it shows waits" becomes '^no compositor in' systemctl show --property=StatusText --value vmsilo-proxy@a

echo "a compositor on wayland-7"
check "the user's session" session_start
for n in {1..6}; do
  desktop flock "/run/user/1000/wayland-$n.lock" sleep infinity &
done
check "all places before that are taken" becomes '^6$' pgrep --count --full '^flock /run/user/1000/wayland-'
# What it is asked for is in its log.
check "the compositor runs" compositor_start --setenv=WAYLAND_DEBUG=server
check "at that place" same WAYLAND_DISPLAY=wayland-7 "$(compositor_display)"
check "the window is there" becomes '^foot [0-9]+$' windows
check "it is the VM's by its process" same vmsilo-waypipe@a.service "$(unit_of "$(windows | cut -d ' ' -f 2)")"
check "the compositor has the socket itself" becomes '^the compositor at /run/user/1000/wayland-7 accepts connections$' \
  systemctl show --property=StatusText --value vmsilo-proxy@a
asked() { journalctl --boot --output=cat _SYSTEMD_USER_UNIT=sway.service | sed -n "s/.*wp_security_context_v1[@#][0-9]*\.\($1(.*)\).*/\1/p"; }
check "which is told whose it is" same 'set_sandbox_engine("vmsilo")' "$(asked set_sandbox_engine)"
check "of which VM" same 'set_app_id("vmsilo.a")' "$(asked set_app_id)"
check "and of which run" same "set_instance_id(\"$(systemctl show --property=InvocationID --value vmsilo-proxy@a)\")" "$(asked set_instance_id)"
check "the screen shows it" becomes '^[1-4][0-9]{5}$' blue
# For who wants to see it: tests/all says where it is.
install --directory /root/output
desktop env "$(compositor_display)" grim - >/root/output/window.png
# picture FILE prints the width and height of a PNG, and how many values its bytes have.
picture() {
  python3 -c '
import struct, sys, zlib
data = open(sys.argv[1], "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n"
at, pixels = 8, b""
while at < len(data):
    length, kind = struct.unpack(">I4s", data[at:at + 8])
    if kind == b"IHDR":
        size = struct.unpack(">II", data[at + 8:at + 16])
    if kind == b"IDAT":
        pixels += data[at + 8:at + 8 + length]
    at += length + 12
print(*size, len(set(zlib.decompress(pixels))))' "$1"
}
check "the screenshot is a picture of the screen, and not of one colour" becomes '^800 600 [1-9][0-9]' picture /root/output/window.png

echo "privileges"
# Who only listens, where it is looked for first, is no compositor: the session says which one is.
desktop flock /run/user/1000/wayland-0.lock socat UNIX-LISTEN:/run/user/1000/wayland-0,fork EXEC:'sleep infinity' &
check "something listens at the first place" await test -S /run/user/1000/wayland-0
systemctl start vmsilo-proxy@open.socket
all=$(globals wayland-7) plain=$(globals /run/vmsilo/open/wayland.sock) context=$(globals /run/vmsilo/a/wayland.sock)
privileged='screencopy|data_control|virtual_keyboard|layer_shell|security_context'
check "a program of alice's has them" same 5 "$(grep -o -E "$privileged" <<<"$all" | sort -u | wc -l)"
check "a VM that is plain has the same" same "$all" "$plain"
check "one in a context has windows" holds "$context" wl_compositor xdg_wm_base wl_seat
check "and none of them" same "" "$(grep -E "$privileged" <<<"$context")"
guests=$(desktop vmsilo run a wayland-info | interfaces)
check "so has the guest" holds "$guests" wl_compositor xdg_wm_base wl_seat
check "and no more" same "" "$(grep -E "$privileged" <<<"$guests")"
check "nobody else connects" fails runuser -u bob -- socat -u /dev/null UNIX-CONNECT:/run/vmsilo/a/wayland.sock

pkill --full '^socat UNIX-LISTEN:/run/user/1000/wayland-0,'

echo "a guest that opens a thousand connections, and a VM that does"
check "64 are held by waypipe, with the window" same 63 "$(connections /run/vmsilo/a/vsock/host.sock_5003 1000)"
check "said once" same 1 "$(journalctl --boot -u vmsilo-waypipe@a --grep='64 connections' --output=cat | wc --lines)"
check "128 with plain" same 128 "$(connections /run/vmsilo/open/wayland.sock 1000)"
check "the window is still there" becomes '^foot [0-9]+$' windows
shown() { desktop vmsilo run a wayland-info | interfaces; }
check "and there is room again" becomes '\bwl_compositor\b' shown

# pid UNIT prints its main process.
pid() { systemctl show --property=MainPID --value "$1"; }

echo "what lies between is killed"
proxy=$(pid vmsilo-proxy@a)
kill -KILL "$proxy"
check "without the one that has asked the compositor the window is still there" becomes '^foot [0-9]+$' windows
check "the next one has the compositor, too" holds "$(desktop vmsilo run a wayland-info)" wl_compositor
check "by another" fails same "$proxy" "$(pid vmsilo-proxy@a)"
kill -KILL "$(pid vmsilo-waypipe@a)"
check "without waypipe the window goes" becomes '^$' windows
terminal /run/terminal1
check "a new one is there" becomes '^foot [0-9]+$' windows
check "the VM has run on" same active "$(systemctl is-active vmsilo@a)"

echo "a compositor that is killed"
desktop systemctl --user kill --signal=KILL sway
check "the program has ended with its window" becomes '.' cat /run/terminal1
# A compositor that has one global, and no security contexts: "Wire Format" of the Wayland protocol.
desktop python3 -c '
import socketserver, struct
class Client(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(4096):
            while data:
                target, opcode, size, new = struct.unpack("<IHHI", data[:12])
                if opcode == 1:
                    self.request.send(struct.pack("<IHHII16sI", new, 0, 36, 1, 14, b"wl_compositor", 1))
                else:
                    self.request.send(struct.pack("<IHHI", new, 0, 12, 0))
                data = data[size:]
socketserver.ThreadingUnixStreamServer("/run/user/1000/wayland-0", Client).serve_forever()' &
check "one without that protocol refuses the guest, and why says so" \
  becomes 'shows no windows: the compositor at /run/user/1000/wayland-0 has no wp_security_context_manager_v1' vmsilo why a
pkill --full '^python3 -c'
rm /run/user/1000/wayland-0
check "another comes" compositor_start
terminal /run/terminal2
check "a new window is there, from the same guest" becomes '^foot [0-9]+$' windows
check "the VM has run on" same active "$(systemctl is-active vmsilo@a)"

echo "the end"
check "stopped" systemctl stop vmsilo@a
check "no window is left" becomes '^$' windows
systemctl stop 'vmsilo-open.slice' vmsilo-proxy@open.socket vmsilo-user@open
check "nothing is left" nothing_left a open
finish
