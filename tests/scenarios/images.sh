#!/bin/bash
# Guest images as people have them: built, listed, switched under a VM that runs, gone back to, removed; builds that end
# too soon; and a guest of the oldest systemd that is supported.
# host: --network --image=debian-12
# files: images/*.toml
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh
images=/var/lib/vmsilo/images
cd $images || exit 1

# version NAME prints the current version of an image.
version() {
  basename "$(readlink "$1")"
}

# begin NAME begins to build an image of the recipe below, in the background, where a shell's commands would not heed an
# interrupt. What it says is in /root/NAME.log. When it is under way its PID is in $pid.
begin() {
  # What the one before has said is not said by this one.
  rm -f "/root/$1.log"
  env --default-signal=INT vmsilo image build "$1" --recipe=/root/recipe/mine.toml >"/root/$1.log" 2>&1 &
  pid=$!
  until_in "/root/$1.log" 'extracting archives'
}

# end SIGNAL ends it, and leaves its status in $status.
end() {
  kill -s "$1" "$pid"
  wait "$pid" 2>/dev/null
  status=$?
}

# files lists what is there.
files() {
  find . -maxdepth 2 -printf '%p %s %l\n' | sort
}

# contents NAME prints the sums of the current version's files.
contents() {
  (cd "$1" && find . -type f -exec sha256sum {} + | sort)
}

# until_in LOG TEXT waits until a build has said something.
until_in() {
  timeout 60 grep --quiet --max-count=1 "$2" <(tail --lines=+1 --follow=name --retry "$1" 2>/dev/null)
}

# What a build runs.
programs='mmdebstrap|apt-get|dpkg|mkfs.erofs'

# A recipe of one's own: that of Debian 13, with an ssh server, a file, a program for menus and a command.
mkdir -p /root/recipe/scripts /root/recipe/programs
printf '[Desktop Entry]\nType=Application\nName=Hello\nExec=hello\n' >/root/recipe/programs/hello.desktop
echo '#!/bin/sh' >/root/recipe/scripts/hello
chmod 700 /root/recipe/scripts/hello
sed 's/"iproute2",/& "openssh-server",/' /usr/share/vmsilo/recipes/debian-13.toml >/root/recipe/mine.toml
cat >>/root/recipe/mine.toml <<'END'
commands = ["echo 'made by' \"$(id --user --name)\" >/etc/made", "rm /etc/issue"]
[files]
"/usr/local/bin" = "scripts"
"/usr/local/share/applications" = "programs"
"/etc/motd" = "mine.toml"
END

echo "vmsilo check"
check "nothing is wrong" same "0" "$(vmsilo check 2>&1; echo $?)"
echo 'id = 2' >/etc/vmsilo/bad.toml
check "it says what the generator says, with its status" same \
  "$(/usr/lib/systemd/system-generators/vmsilo-generator --check 2>&1; echo $?)" "$(vmsilo check 2>&1; echo $?)"
check "which is an error" holds "$(vmsilo check 2>&1; echo $?)" '/etc/vmsilo/bad.toml:1:6: ' $'\n1'
rm /etc/vmsilo/bad.toml

echo "a plain folder is an image, too"
cp --recursive --no-preserve=mode default work
check "a VM starts from it" systemctl start vmsilo@work
check "the list has it" holds "$(vmsilo image list)" "work       (a plain folder)"

echo "builds that end too soon"
before=$(files)
for signal in INT TERM; do
  begin work
  end $signal
  check "$signal ends a build" same 1 "$status"
  check "it says so" holds "$(cat /root/work.log)" 'error: building image "work": interrupted' 'hint: the image is as it was'
  check "nothing of it is left" same "$before" "$(files)"
  check "nor runs" await fails pgrep --list-full "$programs"
done
begin work
end KILL
check "nothing runs of one that was killed" await fails pgrep --list-full "$programs"
check "its folder stays" test "$(find .work -mindepth 1 -maxdepth 1 -name '.*' | wc -l)" = 1

echo "two builds at once, of the same recipe"
start=$EPOCHSECONDS
begin other # some seconds before the next, so that times in it differ
check "one is done" vmsilo image build work --recipe=/root/recipe/mine.toml
wait "$pid"
check "the other is, too" same 0 $?
echo "    in $((EPOCHSECONDS - start)) s"
check "they are the same, byte for byte" same "$(contents work)" "$(contents other)"
check "what was killed is swept away" same "" "$(find . -mindepth 2 -maxdepth 2 -name '.*')"
check "the folder became a version" test "$(find .work -mindepth 1 -maxdepth 1 -type d | wc -l)" = 2
hello=/var/lib/vmsilo/.menus/1000/share/applications/vmsilo.work.hello.desktop
check "its program is in the menu" becomes 'Name=work: Hello Exec=vmsilo run work -- hello' cat $hello
new=$(version work)
old=$(find .work -mindepth 1 -printf '%f\n' -prune | grep --invert-match "$new")
check "it holds what it held" cmp default/root.erofs ".work/$old/root.erofs"
check "the list has both" grep -Eqz "work +$old +[0-9]+ MiB *
work +$new +[0-9]+ MiB +yes
" <(vmsilo image list)

echo "the VM, before and after"
# shellcheck disable=SC2016 # for the guest
check "it runs on, from the old one" guest work 'echo 3 >/proc/sys/vm/drop_caches && ! [ -e /etc/made ] && sha256sum /usr/bin/* >/dev/null'
check "the old one cannot be removed" holds "$(vmsilo image remove work "$old" 2>&1)" "is in use by process"
check "nor can the current one" holds "$(vmsilo image remove work "$new" 2>&1)" "is the current one"
check "it starts again" systemctl restart vmsilo@work
# shellcheck disable=SC2016 # for the guest
check "its next start has the new one" same "made by root 755" "$(guest work 'echo $(cat /etc/made; stat --format=%a /usr/local/bin/hello)')"
check "and the recipe's file" guest work 'grep trixie /etc/motd && ! [ -e /etc/issue ]'
check "an image has no ssh keys" guest work '! ls /run/vmsilo/root/etc/ssh/ssh_host_*'
check "a guest makes its own" same active "$(guest work 'ls /etc/ssh/ssh_host_ed25519_key >/dev/null && systemctl start ssh && systemctl is-active ssh')"
check "back to the old one" vmsilo image use work "$old"
check "that is current" same "$old" "$(version work)"
check "its programs, of which there are none, are in the menu" becomes '^none$' eval "[[ -e $hello ]] || echo none"
check "the new one is in use" holds "$(vmsilo image remove work "$new" 2>&1)" "is in use by process"
systemctl stop vmsilo@work
check "and can be removed after that" vmsilo image remove work "$new"
check "it is gone" same "$old" "$(ls -A .work)"
check "an unknown version names those there are" holds "$(vmsilo image use work 2020 2>&1)" \
  'error: image "work" has no version "2020"' "hint: there are: $old"
check "an unknown image, too" holds "$(vmsilo image use wrok 2020 2>&1)" \
  'error: there is no image "wrok"' 'hint: there are: debian-12, default, other, work'

echo "a guest of Debian 12"
check "it starts" systemctl start vmsilo@old
check "systemd 252" holds "$(guest old 'systemctl --version')" "systemd 252"
check "its name" same old "$(guest old hostname)"
check "its interfaces" same "eth0 lo wan-0.x" "$(guest old 'ls /sys/class/net' | xargs)"
check "the one with a MAC of its own" same 52:54:00:12:34:56 "$(guest old 'cat /sys/class/net/wan-0.x/address')"
check "/ is an overlay" same overlay "$(guest old 'findmnt --noheadings --output FSTYPE /')"
check "/home/user is a share" same "home virtiofs" "$(guest old 'findmnt --noheadings --output SOURCE,FSTYPE /home/user' | xargs)"
guest old "runuser -u user -- sh -c 'echo hello >/home/user/word'"
check "that is written to" same hello "$(cat /shared/old/word)"
check "no unit of it failed" same "" "$(guest old 'systemctl --failed --plain --no-legend | cat')"
check "it stops" systemctl stop vmsilo@old
check "by itself" fails grep --quiet 'the VM goes on' <(journalctl --boot --unit=vmsilo@old --output=cat)
check "one whose root cannot be made does not start" fails systemctl start vmsilo@lost
check "it says why" holds "$(journalctl --boot --unit=vmsilo@lost --output=cat)" \
  'vmsilo: error: this VM cannot boot: the kernel command line must have vmsilo.overlay=qcow2 or vmsilo.overlay=tmpfs, once'
check "nothing is left" nothing_left
finish
