#!/bin/bash
# No string of a VM's file can become a directive, a specifier, a variable or another argument: systemd gives the VMM
# exactly these words.
# host: --no-image --release=trixie
# shellcheck disable=SC2016,SC2317,SC1003 # strings as they are, and functions that check calls
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

mkdir -p '/srv/image, of 100% "$HOME"' /srv/home
touch '/srv/image, of 100% "$HOME"'/{vmlinuz,initrd,root.erofs}
cat >/etc/vmsilo/strings.toml <<'END'
id = 40
hypervisor = "qemu"
image = '/srv/image, of 100% "$HOME"'
description = "a\nExecStart=/bin/sh 100% $HOME \\"
kernel_params = ["a=%H", "b=\"x y\"", "c=${HOME}$$", "d=\\", "e='é'"]
hypervisor_args = ["-x", "a b\nExecStartPre=/bin/false", "%n", "$MAINPID", "${HOME}", "\"", "'", "\\", "", "ü", ";", "--", "@-+!:", "\t "]
shared_home = "/srv/home/%H $HOME \"quoted\" 'single': \\ back"
END
home=$'/srv/home/%H $HOME "quoted" \'single\': \\ back'

# A VMM that says what it was given: a word a line, in a form that hides nothing.
mv /usr/bin/qemu-system-x86_64 /usr/bin/qemu-system-x86_64.away
cat >/usr/bin/qemu-system-x86_64 <<'END'
#!/bin/bash
for word in "$@"; do
  echo "word: $(base64 --wrap=0 <<<"$word")"
done
exit 1
END
chmod 755 /usr/bin/qemu-system-x86_64

systemctl daemon-reload
systemctl start vmsilo@strings 2>/dev/null
# The VMM's last line may come a moment after its end.
journalctl --sync
words=$(journalctl --boot --unit=vmsilo@strings --output=cat | sed -n 's/^word: //p' |
  while read -r word; do base64 --decode <<<"$word"; done)

# given WORD… tells whether the VMM was given these, one after the other.
given() {
  holds $'\n'"$words"$'\n' $'\n'"$(printf '%s\n' "$@")"$'\n'
}

check "the VMM was started" given -name guest=strings
check "arguments" given -x $'a b\nExecStartPre=/bin/false' '%n' '$MAINPID' '${HOME}' '"' "'" "\\" '' 'ü' ';' -- '@-+!:' $'\t '
check "the image's path" given -kernel '/srv/image, of 100% "$HOME"/vmlinuz' -initrd
check "the same in a list of QEMU's, whose comma is double" holds "$words" \
  'file.filename=/srv/image,, of 100% "$HOME"/root.erofs'
check "kernel parameters" holds "$words" $' a=%H b="x y" c=${HOME}$$ d=\\ e=\'é\'\n'
check "the description" same 'VM strings: a ExecStart=/bin/sh 100% $HOME \' \
  "$(systemctl show --property=Description --value vmsilo@strings)"
check "nothing was run before the VMM" same '' "$(systemctl show --property=ExecStartPre --value vmsilo@strings)"
check "the home's folder was made under its name" test -d "$home"
check "and is what virtiofsd would see" same "$home:$home:rbind" \
  "$(systemctl show --property=BindPaths --value vmsilo-share@strings:home.service)"
check "nothing is left" nothing_left
finish
