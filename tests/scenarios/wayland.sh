#!/bin/bash
# A guest's windows on a compositor of the host, which comes later than the guest, and restarts.
# host: --release=desktop --image=debian-13-desktop
# files: wayland/*.toml
# Some functions are called by name.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# alice COMMAND… runs it as the desktop user.
alice() {
  runuser -u alice -- env --chdir=/home/alice XDG_RUNTIME_DIR=/run/user/1000 "$@"
}

# sway starts a compositor without a screen, as a unit of alice's.
sway() {
  alice systemd-run --user --quiet --collect --unit=sway --service-type=exec --setenv=WLR_BACKENDS=headless \
    --setenv=WLR_RENDERER=pixman --setenv=WLR_LIBINPUT_NO_DEVICES=1 sway --config /home/alice/sway
}

# msg asks the compositor.
msg() {
  local socket
  socket=$(ls -t /run/user/1000/sway-ipc.*.sock | head -n 1)
  alice swaymsg --socket "$socket" "$@"
}

# windows prints the app ids of all windows.
windows() {
  msg -t get_tree | jq -r '.. | objects | select(.pid? and .app_id?) | .app_id'
}

# globals SOCKET prints what is offered to who connects there.
globals() {
  alice timeout 60 env WAYLAND_DISPLAY="$1" wayland-info | sed -n "s/^interface: '\([a-z0-9_]*\)'.*/\1/p" | sort
}

# colours FILE counts the colours of a picture.
colours() {
  tail --bytes=+16 "$1" | od -An -v -tx1 -w3 | sort -u | wc -l
}

waits() {
  local try
  for try in {1..1200}; do
    ! "$@" >/dev/null 2>&1 || return 0
    sleep 0.1
  done
  echo "not after $try tenths of a second: $*"
  return 1
}

has_window() { [[ $(windows) == *"$1"* ]]; }
has_none() { [[ -z $(windows) ]]; }

printf 'exec systemctl --user import-environment WAYLAND_DISPLAY\noutput HEADLESS-1 resolution 800x600\n' >/home/alice/sway
loginctl enable-linger alice
check "the user's service manager runs" waits systemctl is-active user@1000.service

echo "guests without a compositor"
check "they start" systemctl start vmsilo@a vmsilo@b
check "an image without the proxy says so on the host" holds "$(journalctl -u vmsilo@b)" \
  "vmsilo.wayland_proxy: there is no waypipe in /usr/local/bin or /usr/bin of this image"
check "and in the guest's journal" guest b 'journalctl --boot --identifier=kernel | grep "there is no waypipe"'
check "its programs have no display" fails alice vmsilo run b printenv WAYLAND_DISPLAY
alice vmsilo run a foot >/run/foot 2>&1 &
check "a window waits for a compositor" waits systemctl is-active vmsilo-proxy@a.service

echo "a compositor on wayland-7"
for i in {1..6}; do
  alice flock "/run/user/1000/wayland-$i.lock" sleep 600 &
done
sleep 1
sway
check "the compositor runs" waits msg -t get_version
ls -l /run/user/1000
check "the window is there" waits has_window foot
systemctl status --no-pager vmsilo-proxy@a vmsilo-waypipe@a
msg -t get_tree | jq -c '.. | objects | select(.pid? and .app_id?)'
sleep 5
alice env WAYLAND_DISPLAY=wayland-7 grim -t ppm /home/alice/shot.ppm
alice env WAYLAND_DISPLAY=wayland-7 grim /home/alice/shot.png
colours /home/alice/shot.ppm
cat /run/foot
time globals /run/user/1000/wayland-7 
time globals /run/vmsilo/a/wayland.sock
time alice vmsilo run a wayland-info | grep interface:
guest a 'ls -l /run/user/1000; systemctl --user -M user@ list-units | cat; journalctl -b --no-pager | tail -30'
ls -la /run/vmsilo/a
cp /home/alice/shot.png /root/ ; base64 /home/alice/shot.png | sed 's/^/PNG /'
finish
