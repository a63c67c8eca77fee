#!/bin/bash
# The programs of images in the menus of the VMs' users, as the programs of others read them: a reader of menus, GLib, and
# desktop-file-validate. Hostile ones among them; and VMs and images that change and go.
# host: --no-image
# shellcheck disable=SC2016,SC2317 # some of what is written is for others to expand, or to not expand, and some functions are called by name
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh
menus=/var/lib/vmsilo/.menus
images=/var/lib/vmsilo/images

# as USER COMMAND… runs a command with the folders that systemd's user manager gives to the user's session.
as() {
  local folders
  mapfile -t folders < <(runuser --user "$1" -- env "XDG_RUNTIME_DIR=/run/user/$(id -u "$1")" \
    systemctl --user show-environment | grep '^XDG_.*_DIRS=')
  runuser --user "$1" -- env "${folders[@]}" "${@:2}"
}

# menu USER prints the user's menu: its folders and, below each, its programs.
menu() { as "$1" python3 /srv/menu.py; }

# has USER TEXT… and lacks USER TEXT tell what is in it.
has() { holds "$(menu "$1")" "${@:2}"; }
lacks() { fails has "$@" >/dev/null; }

# launched FILE has GLib launch what a desktop file of alice's menu says, and prints the arguments that vmsilo gets.
launched() {
  rm -f /srv/out/args
  as alice env PATH=/srv/bin:/usr/bin:/bin gio launch "$menus/1000/share/applications/$1" || return
  await test -e /srv/out/args && cat /srv/out/args
}

# program FILE LINE… writes a desktop file.
program() { printf '%s\n' '[Desktop Entry]' Type=Application "${@:2}" >"$1"; }

# version NAME makes a version of the image default, and prints the folder of its programs.
version() {
  mkdir -p "$images/.default/$1/apps"
  touch "$images/.default/$1/"{vmlinuz,initrd,root.erofs}
  echo "$images/.default/$1/apps"
}

# What a desktop has: its menu, and a session for each user.
mkdir -p /etc/xdg/menus /srv/bin /srv/out
cat >/etc/xdg/menus/applications.menu <<'END'
<!DOCTYPE Menu PUBLIC "-//freedesktop//DTD Menu 1.0//EN" "http://www.freedesktop.org/standards/menu-spec/1.0/menu.dtd">
<Menu><Name>Applications</Name><DefaultAppDirs/><DefaultDirectoryDirs/><DefaultMergeDirs/></Menu>
END
cat >/srv/menu.py <<'END'
import xdg.Menu
def show(menu):
    for entry in menu.getEntries():
        if isinstance(entry, xdg.Menu.Menu):
            print(f"folder {entry.getName()}: {entry.getComment()}; {entry.getIcon()}")
            show(entry)
        else:
            program = entry.DesktopEntry
            print(f"{menu.getName()}: {program.getName()}; {program.getExec()}; {program.getIcon()}")
show(xdg.Menu.parse())
END
cat >/srv/bin/vmsilo <<'END'
#!/bin/sh
printf '<%s>' "$@" >/srv/out/.args
mv /srv/out/.args /srv/out/args
END
chmod 755 /srv/bin/vmsilo
chmod 1777 /srv/out
systemctl start user@1000 user@1001

echo "at the boot"
check "changes are looked for" systemctl --quiet is-active vmsilo-menus.path
ran() { systemctl show --property=ExecMainExitTimestampMonotonic --value vmsilo-menus; }
check "what changed before was" becomes '^[1-9]' ran
check "there are no menus" same "" "$(ls -A $menus)"

echo "an image with programs, hostile ones among them"
one=$(version 1-x)
program "$one/firefox.desktop" 'Name=Firefox' 'Name[de]=Feuerfuchs' 'Comment=Browse the web' 'Exec=/usr/lib/firefox/firefox -new-window %u' \
  'Icon=firefox' 'DBusActivatable=true' 'Actions=evil;' '' '[Desktop Action evil]' 'Name=Evil' 'Exec=touch /srv/out/pwned'
program "$one/htop.desktop" 'Name=htop' 'Exec=htop' 'Terminal=true'
program "$one/quotes.desktop" 'Name=Quotes' 'Exec=printf "a \\"b\\" \\$HOME \\`c\\` \\\\\\\\ %%d;" "" 100%% --name=%c --file=%f é'
program "$one/injects.desktop" 'Name=Injects\nExec=touch /srv/out/pwned\nX=' 'Exec=true' 'Comment=\nExec=touch /srv/out/pwned'
program "$one/escape.desktop" $'Name=\e]0;owned\a\e[2J' 'Exec=true'
program "$one/shell.desktop" 'Name=Shell' 'Exec=true; touch /srv/out/pwned'
program "$one/substitution.desktop" 'Name=Substitution' 'Exec=echo $(touch /srv/out/pwned)'
program "$one/newline.desktop" 'Name=Newline' 'Exec=true\ntouch /srv/out/pwned'
program "$one/code.desktop" 'Name=Code' 'Exec=true %z'
program "$one/hidden.desktop" 'Name=Hidden' 'Exec=true' 'NoDisplay=true'
program "$one/with blank.desktop" 'Name=Blank' 'Exec=true'
program "$one/"$'\e[31m.desktop' 'Name=Red' 'Exec=true'
program /srv/out/outside.desktop 'Name=Outside' 'Exec=true'
ln -s /srv/out/outside.desktop "$one/link.desktop"
mkfifo "$one/fifo.desktop" "$one/htop.png"
mknod "$one/device.desktop" c 1 5
{ cat "$one/htop.desktop" && head --bytes=300K /dev/zero | tr '\0' '#'; } >"$one/huge.desktop"
truncate --size=8G "$one/larger.desktop"
# One pixel; one whose header says that there are 60000 by 60000; and one with nothing of a PNG.
pixel=iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==
base64 --decode <<<$pixel >"$one/firefox.png"
python3 -c 'import struct, zlib
header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 6, 0, 0, 0)
print(end="", flush=True)
open("'"$one"'/quotes.png", "wb").write(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)))'
echo '<svg onload="evil()"/>' >"$one/injects.png"
ls "$one" >/srv/before
check "a version of it becomes the current one" vmsilo image use default 1-x
printf 'id = 3\ncolor = "#c0ffee"\ndescription = "money\\nExec=touch /srv/out/pwned"\n' >/etc/vmsilo/banking.toml
printf 'id = 4\nuser = "bob"\n' >/etc/vmsilo/work.toml
printf 'id = 5\nuser = "nobody-here"\n' >/etc/vmsilo/lost.toml
printf 'id = 6\nimage = "/srv/none"\n' >/etc/vmsilo/bare.toml
echo 'id = 7 nonsense' >/etc/vmsilo/wrong.toml

echo "the menus"
check "alice has banking's programs" becomes 'banking: banking: Firefox' menu alice
check "bob has work's" becomes 'work: work: Firefox' menu bob
check "in a folder, with its text" has alice 'folder banking: money?Exec=touch /srv/out/pwned; '"$menus/1000/icons/vmsilo-banking.svg"
check "its icon has the VM's colour" grep --quiet 'fill="#c0ffee"' $menus/1000/icons/vmsilo-banking.svg
check "a program says which VM it is of" has alice 'banking: banking: Firefox; vmsilo run banking -- /usr/lib/firefox/firefox -new-window;'
check "one with a terminal has one" has alice 'banking: htop; vmsilo run -t banking -- htop;'
check "for its launcher, too" grep --quiet '^Terminal=true' "$menus/1000/share/applications/vmsilo.banking.htop.desktop"
check "an icon is one that is checked" test "$(head --bytes=8 $menus/1000/icons/*.png | base64)" = iVBORw0KGgo=
check "alice has nothing of work" lacks alice work
check "bob has nothing of banking" lacks bob banking
check "these are all" same "escape firefox htop injects quotes" \
  "$(cd $menus/1000/share/applications && printf '%s\n' * | cut --delimiter=. --fields=3 | xargs)"
check "no key is in them but those that are made" same "Categories Comment Exec Icon Name Terminal Type" \
  "$(sed -n 's/=.*//p' $menus/1000/share/applications/* | sort -u | xargs)"
check "who has logged in without systemd has them" holds \
  "$(runuser --user alice -- sh -c '. /etc/profile.d/vmsilo.sh && echo "$XDG_DATA_DIRS $XDG_CONFIG_DIRS"')" \
  "/usr/local/share:/usr/share:$menus/1000/share /etc/xdg:$menus/1000/xdg"
check "and who has them twice has them once" same "a:$menus/1000/share" \
  "$(runuser --user alice -- sh -c "XDG_DATA_DIRS=a:$menus/1000/share && . /etc/profile.d/vmsilo.sh && echo \"\$XDG_DATA_DIRS\"")"

echo "what others make of them"
# That there is no category but vmsilo's is meant.
check "desktop-file-validate finds no fault" same "" \
  "$(desktop-file-validate --no-hints $menus/*/share/applications/*.desktop $menus/*/share/desktop-directories/* 2>&1)"
check "GLib starts the program" same '<run><banking><--></usr/lib/firefox/firefox><-new-window>' "$(launched vmsilo.banking.firefox.desktop)"
check "with its very arguments" same '<run><banking><--><printf><a "b" $HOME `c` \\ %d;><><100%><--name=Quotes><é>' \
  "$(launched vmsilo.banking.quotes.desktop)"
check "what injects runs what it says" same '<run><banking><--><true>' "$(launched vmsilo.banking.injects.desktop)"
check "nothing ran on the host" fails test -e /srv/out/pwned

echo "what is left out"
said() { journalctl --boot --unit=vmsilo-menus --output=cat; }
check "it is said why" holds "$(said)" \
  "$images/default/apps: program \"shell\": its Exec has ';' outside of quotes" \
  'program "substitution": its Exec has '"'\$' outside of quotes" \
  'program "newline": its Exec has '"'\\n', which is not printable" \
  'program "code": its Exec has "%z", which is no field code' \
  'program "with blank": the name of its file does not match' \
  'program "\x1b[31m": the name of its file does not match' \
  'program "link": opening "link.desktop": it is not a plain file' \
  'program "fifo": opening "fifo.desktop": it is not a plain file' \
  'program "device": opening "device.desktop": it is not a plain file' \
  'program "huge": "huge.desktop" is longer than 256 KiB' \
  'program "larger": "larger.desktop" is longer than 256 KiB' \
  'icon of program "htop": opening "htop.png": it is not a plain file' \
  'icon of program "quotes": it is 60000 by 60000 pixels large, and may be 256 by 256' \
  'icon of program "injects": reading it as a PNG: png: invalid format: not a PNG file' \
  'VM "lost": "nobody-here" in database passwd: not found'
check "no byte of a terminal's is in it" fails grep --quiet $'[\e\a]' <<<"$(said)"
check "nor in a menu" fails grep --quiet --recursive $'[\e\a]' $menus
check "a program without an icon has the folder's" has alice "banking: Quotes; vmsilo run banking -- printf" "$menus/1000/icons/vmsilo-banking.svg"

echo "whose they are"
check "they are nobody's who has a session" same vmsilo_menus "$(find $menus -printf '%u\n' | sort -u)"
check "nobody else can write to them" same "" "$(find $menus -perm /022)"
check "alice cannot" fails runuser --user alice -- touch $menus/1000/share/applications/x.desktop

echo "changes"
inode=$(stat --format=%i $menus/1000/share)
systemctl start vmsilo-menus
check "what is as it should be is left alone" same "$inode" "$(stat --format=%i $menus/1000/share)"
sed -i s/c0ffee/facade/ /etc/vmsilo/banking.toml
check "another colour" becomes facade cat $menus/1000/icons/vmsilo-banking.svg
for n in {10..59}; do
  sed -i "s/#....../#0000$n/" /etc/vmsilo/banking.toml
  sleep "0.0$n"
done
check "the last of many" becomes 'fill=#000059' cat $menus/1000/icons/vmsilo-banking.svg
two=$(version 2-y)
for n in {1000..2499}; do program "$two/p$n.desktop" "Name=Program $n" "Exec=p$n"; done
check "another version of the image" vmsilo image use default 2-y
check "has the same VMs have its programs" becomes '^200$' eval "ls $menus/1000/share/applications | wc --lines"
check "and no others" lacks alice Firefox
check "of too many, the first" holds "$(said)" \
  'programs: there are more than 200, or 1000 files; "p1200.desktop" and what follows is left out'
rm -r "$two"
check "a version without any" vmsilo image use default 2-y
check "leaves no menu" becomes '^$' ls -A $menus
check "back to the first" vmsilo image use default 1-x
check "they are there again" becomes 'banking: banking: Firefox' menu alice
rm /etc/vmsilo/work.toml
check "the menu of a VM that is gone is gone" becomes '^1000$' ls -A $menus
check "bob has none" lacks bob work
check "alice has hers" has alice 'banking: banking: Firefox'
sed -i 's/^id/identity/' /etc/vmsilo/banking.toml
check "a VM whose file is wrong is in no menu" becomes '^$' ls -A $menus
check "no run of it failed" fails grep --quiet --ignore-case 'failed' <<<"$(said)"

echo "who makes them is killed"
stand_in vmsilo-menus '"$real" "$@" & sleep 0.02; kill -KILL $!; kill -STOP $$'
sed -i 's/^identity/id/' /etc/vmsilo/banking.toml
check "midway" await stopped
restore
check "which is no secret" becomes '^failed$' systemctl is-active vmsilo-menus
sed -i "s/#....../#0000cd/" /etc/vmsilo/banking.toml
check "the next change is made" becomes 'fill=#0000cd' cat $menus/1000/icons/vmsilo-banking.svg
check "with all the rest" becomes 'banking: banking: Firefox' menu alice
check "nothing else is left" same 1000 "$(ls -A $menus)"
finish
