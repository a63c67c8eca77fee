#!/bin/bash
# What lies between VMs' sound devices and a user's PipeWire, which has no hardware here: each direction apart, a session that
# begins after the VM, and a PipeWire that goes and comes back. There is no VMM: who plays and records is who has taken over
# the device.
# host: --release=desktop --no-image
# files: sound/*.toml
# shellcheck disable=SC2016,SC2317 # for other shells, and functions that check calls
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

# as USER COMMAND… runs it with the user's name and groups, as one whose session is alice's.
as() {
  setpriv --reuid="$1" --regid="$1" --init-groups --bounding-set=-all --inh-caps=-all --no-new-privs \
    env XDG_RUNTIME_DIR=/run/user/1000 HOME=/home/alice PIPEWIRE_DEBUG=0 "${@:2}" 2>&1
}

# tone prints a WAV file of so many seconds.
tone() {
  perl -e 'my $n = 48000 * shift; print pack("A4VA8VvvVVvvA4V", "RIFF", 36 + 4 * $n, "WAVEfmt ", 16, 1, 2, 48000, 192000, 4, 16, "data", 4 * $n);
    print pack("ss", ($_ % 100 < 50 ? 16000 : -16000) x 2) for 1 .. $n' "$1"
}

# is_loud FILE tells whether there is more than noise in a WAV file of 16 bits.
is_loud() {
  local peak
  peak=$(od -An -v -td2 -w2 -j44 "$1" | awk '{v = $1 < 0 ? -$1 : $1} v > m {m = v} END {print m + 0}')
  [[ $peak -gt 8000 ]] || { echo "the peak is $peak" && return 1; }
}

# heard COMMAND… runs it, and tells whether the speakers have sounded meanwhile.
heard() {
  local recorder status=0
  rm -f /tmp/heard.wav
  as alice pw-record --target=speakers --properties='{ stream.capture.sink = true }' --format=s16 /tmp/heard.wav &
  recorder=$!
  "$@" || status=1
  pkill --exact pw-record
  wait "$recorder"
  [[ $status -eq 0 ]] && is_loud /tmp/heard.wav
}

# nodes prints the names of the streams that there are.
nodes() {
  as alice pw-dump | jq -r '.[].info.props | select(."media.class" // "" | startswith("Stream/")) | "\(."media.class") \(."application.name")"' | sort
}

said() { await within "$@"; }
within() { holds "$(journalctl --boot --unit="vmsilo-pipewire@$1" --output=cat)" "$2"; }
runs_as() { ps --format=user:32= "$(systemctl show --property=MainPID --value "$1")"; }

install --directory --owner=alice /home/alice/.config/pipewire/pipewire.conf.d
cat >/home/alice/.config/pipewire/pipewire.conf.d/sound.conf <<'END'
context.objects = [
  { factory = adapter args = { factory.name = support.null-audio-sink node.name = speakers media.class = Audio/Sink
    audio.position = [ FL FR ] object.linger = true } }
  { factory = adapter args = { factory.name = support.null-audio-sink node.name = microphone media.class = Audio/Source/Virtual
    audio.position = [ FL FR ] object.linger = true } }
]
END
tiny_image /srv/image
# It is looked for, and not run.
ln -s /usr/bin/false /usr/local/bin/crosvm
systemctl daemon-reload
tone 3 >/tmp/tone.wav
# For who has to come while it sounds.
tone 9 >/tmp/long.wav
# plays VM [TONE] has the VM play.
plays() { as "vmsilo-$1" timeout 20 pw-play --remote="/run/vmsilo/$1/pipewire.sock" "/tmp/${2:-tone}.wav"; }

# records VM tells whether the VM hears what is said into the microphone.
records() {
  as alice pw-play --target=microphone /tmp/long.wav &
  as "vmsilo-$1" timeout --signal=INT 7 pw-record --remote="/run/vmsilo/$1/pipewire.sock" --format=s16 "/tmp/$1.wav"
  wait $!
  is_loud "/tmp/$1.wav"
}


echo "without a session"
check "the devices start" systemctl start vmsilo-sound@{speaker,microphone}
check "and listen to their VMMs" await test -S /run/vmsilo/speaker/sound/vhost.sock
check "alice has no session" fails test -e /run/user/1000
check "the device is the VM's user's, the way to PipeWire alice's" same "vmsilo-speaker alice" \
  "$(runs_as vmsilo-sound@speaker) $(runs_as vmsilo-pipewire@speaker)"
check "what the device has of its guest's memory is in no core dump" same 0 \
  "$(prlimit --core --output=HARD --noheadings --pid="$(systemctl show --property=MainPID --value vmsilo-sound@speaker)" | xargs)"
check "nothing plays" fails plays speaker
check "and the journal says why" said speaker "no PipeWire of the VM's user"

echo "with one"
loginctl enable-linger alice
check "there is a PipeWire" becomes speakers as alice pw-cli info speakers
# What links streams is there a moment later.
check "and its session manager" becomes WirePlumber as alice wpctl status
check "what a VM plays is heard" heard plays speaker
check "it does not record" fails records speaker
check "and the journal says so" said speaker "wants to record, which it may not: sound.capture"
check "it sees nothing of PipeWire" fails holds "$(as vmsilo-speaker timeout 5 pw-cli --remote=/run/vmsilo/speaker/pipewire.sock ls)" id
plays speaker long &
check "and has its own name" becomes '^Stream/Output/Audio VM speaker$' nodes
wait $!
check "the other VM records" records microphone
check "and does not play" fails plays microphone
check "as the journal says" said microphone "wants to play, which it may not: sound.playback"
for who in alice bob vmsilo-microphone; do
  for socket in pipewire.sock sound/vhost.sock; do
    check "$who: not to $socket" holds "$(as $who perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0) && connect(S, pack_sockaddr_un($ARGV[0])) or die "$!\n"' \
      /run/vmsilo/speaker/$socket)" "Permission denied"
  done
done

echo "PipeWire goes and comes back"
pid=$(systemctl show --property=MainPID --value vmsilo-pipewire@speaker)
as alice systemctl --user restart pipewire.service
check "it is there" becomes speakers as alice pw-cli info speakers
check "so is its session manager" becomes WirePlumber as alice wpctl status
check "what a VM plays is heard" heard plays speaker
check "by the same way" same "$pid" "$(systemctl show --property=MainPID --value vmsilo-pipewire@speaker)"
check "the device is still there" systemctl --quiet is-active vmsilo-sound@speaker

echo "what lies between is killed"
kill -KILL "$pid"
check "what a VM plays is heard, by another one" heard plays speaker
check "another one it is" fails same "$pid" "$(systemctl show --property=MainPID --value vmsilo-pipewire@speaker)"
systemctl kill --signal=KILL vmsilo-sound@speaker
check "the device is known to be gone" becomes '^failed$' systemctl is-active vmsilo-sound@speaker
check "with its socket" fails test -e /run/vmsilo/speaker/sound
check "it starts again" systemctl start vmsilo-sound@speaker
check "and listens to its VMM" await test -S /run/vmsilo/speaker/sound/vhost.sock

echo "the end"
systemctl stop vmsilo-user@{speaker,microphone}
# What was recorded as the VMs' users.
rm /tmp/{speaker,microphone}.wav
check "nothing is left" nothing_left
finish
