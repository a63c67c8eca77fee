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

# connections SOCKET COUNT opens so many, and prints how many are closed at once.
connections() {
  perl -MSocket -MIO::Select -e '
    my ($path, $count) = @ARGV;
    my (@all, $closed);
    for (1 .. $count) {
      my $s;
      socket($s, AF_UNIX, SOCK_STREAM, 0) && connect($s, pack_sockaddr_un($path)) or next;
      push @all, $s;
    }
    sleep 3;
    for (@all) { $closed++ if IO::Select->new($_)->can_read(0) && !sysread($_, my $byte, 1) }
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
check "the compositor runs" compositor_start
check "at that place" same WAYLAND_DISPLAY=wayland-7 "$(compositor_display)"
check "the window is there" becomes '^foot [0-9]+$' windows
check "it is the VM's by its process" same vmsilo-waypipe@a.service "$(unit_of "$(windows | cut -d ' ' -f 2)")"
check "the compositor has the socket itself" same "the compositor at \"/run/user/1000/wayland-7\" accepts connections" \
  "$(systemctl show --property=StatusText --value vmsilo-proxy@a)"
check "the screen shows it" becomes '^[1-4][0-9]{5}$' blue
# For who wants to see it: VMSILO_OUTPUT of tests/host.
install --directory /root/output
desktop env "$(compositor_display)" grim - >/root/output/window.png
check "the screenshot is a picture" same "89 50 4e 47" "$(od -An -tx1 -N4 /root/output/window.png | xargs)"

echo "privileges"
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

echo "a guest that opens a thousand connections, and a VM that does"
check "64 are held by waypipe, with the window" same 63 "$(connections /run/vmsilo/a/vsock/host.sock_5003 1000)"
check "said once" same 1 "$(journalctl --boot -u vmsilo-waypipe@a --grep='64 connections' --output=cat | wc --lines)"
check "128 with plain" same 128 "$(connections /run/vmsilo/open/wayland.sock 1000)"
check "the window is still there" becomes '^foot [0-9]+$' windows
check "and there is room again" holds "$(desktop vmsilo run a wayland-info)" wl_compositor

echo "a compositor that is killed"
desktop systemctl --user kill --signal=KILL sway
check "the program has ended with its window" becomes '.' cat /run/terminal
check "another comes" compositor_start
terminal /run/terminal2
check "a new window is there, from the same guest" becomes '^foot [0-9]+$' windows
check "the VM has run on" same active "$(systemctl is-active vmsilo@a)"

echo "the end"
check "stopped" systemctl stop vmsilo@a
check "no window is left" same "" "$(windows)"
systemctl stop 'vmsilo-open.slice' vmsilo-proxy@open.socket vmsilo-user@open
check "nothing is left" nothing_left a open
finish
