#!/bin/bash
# No string of a VM's file can become a directive, a specifier, a variable or another argument: systemd gives the VMM
# and the helpers exactly these words.
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
shared_home = "/srv/home/%H $HOME two: \\ back"
END
cat >/etc/vmsilo/home.toml <<'END'
id = 42
hypervisor = "qemu"
image = "/srv"
shared_home = '/srv/home/%H 100%% $HOME ${HOME} single: \ b'
END
mkdir '/srv/home/%H 100%% $HOME ${HOME} single: \ b'
cat >/etc/vmsilo/bad.toml <<'END'
id = 41
memroy = '%n %% $HOME ${HOME} $$ \ " ;' # ' é \x41 \n ExecStart=/bin/false
END
home='/srv/home/%H $HOME two: \ back'

# tells PROGRAM puts one in its place that says what it was given, a word a line, in a form that hides nothing, and then
# becomes the program; the VMM fails instead.
tells() {
  mv "$1" "$1.away"
  cat >"$1" <<'END'
#!/bin/bash
for word in "$@"; do
  echo "word: $(base64 --wrap=0 <<<"$word")"
done
[[ $0 != *qemu-system* ]] || exit 1
exec "$0.away" "$@"
END
  chmod 755 "$1"
}
tells /usr/bin/qemu-system-x86_64
tells /usr/libexec/virtiofsd
tells /usr/libexec/vmsilo/vmsilo-user

# words UNIT prints what the unit's programs were given.
words() {
  journalctl --boot --unit="$1" --output=cat | sed -n 's/^word: //p' |
    while read -r word; do base64 --decode <<<"$word"; done
}

systemctl daemon-reload
systemctl start vmsilo@strings 2>/dev/null
words=$(words vmsilo@strings)

# given WORD… tells whether the VMM was given these, one after the other.
given() {
  holds $'\n'"$words"$'\n' $'\n'"$(printf '%s\n' "$@")"$'\n'
}

check "the VMM was started" given -name guest=strings
check "arguments" given -x $'a b\nExecStartPre=/bin/false' '%n' '$MAINPID' '${HOME}' '"' "'" "\\" '' 'ü' ';' -- '@-+!:' $'\t '
check "the image's path" given -kernel '/srv/image, of 100% "$HOME"/vmlinuz' -initrd
check "the same in JSON" holds "$words" '"filename":"/srv/image, of 100% \"$HOME\"/root.erofs"'
check "kernel parameters" holds "$words" $' a=%H b="x y" c=${HOME}$$ d=\\ e=\'é\'\n'
check "the description" same 'VM strings: a ExecStart=/bin/sh 100% $HOME \' \
  "$(systemctl show --property=Description --value vmsilo@strings)"
# Its helper has found the image's files under their names, or it would not have been.
check "nothing was run before it" same '' "$(systemctl show --property=ExecStartPre --value vmsilo@strings)"
check "the home's folder was made under its name" test -d "$home"
check "and is what virtiofsd would see" same "$home:$home:rbind" \
  "$(systemctl show --property=BindPaths --value vmsilo-share@strings:home.service)"

parts=$(systemctl show --property=ExecStart vmsilo-{user,disk,vsock}@strings.service vmsilo-share@strings:home.service)
check "the parts' command lines hold no value" fails grep --extended-regexp '/srv|70040' <<<"$parts"
check "but name them" holds "$parts" '--file=kernel=${VM_KERNEL}' '--uid=${VM_UID}' '--guest-cid=${VM_CID}' '${SOURCE}'
check "the helper was given the image's files" holds $'\n'"$(words vmsilo-user@strings)"$'\n' \
  $'\n--refusal=\n--vms=bad, home, strings\n--uid=70040\n' \
  $'\n--file=kernel=/srv/image, of 100% "$HOME"/vmlinuz\n--file=initrd=/srv/image, of 100% "$HOME"/initrd\n' \
  $'\n--programs=qemu-system-x86=qemu-system-x86_64 vhost'
# Without a socket of the VMM it ends at once.
looked_at='/srv/home/%H 100%% $HOME ${HOME} single: \ b'
mkdir --parents /run/vmsilo/home/shares
stat --format='%d %i' "$looked_at" >/run/vmsilo/home/shares/home
systemctl start --wait vmsilo-share@home:home.service
check "virtiofsd was given the home" holds $'\n'"$(words vmsilo-share@home:home.service)"$'\n' \
  $'\n--shared-dir=/srv/home/%H 100%% $HOME ${HOME} single: \\ b\n'
# Somebody who can write to the folder around it puts a link in its place: systemd follows that.
mv "$looked_at" /srv/away
ln --symbolic /etc "$looked_at"
systemctl start --wait vmsilo-share@home:home.service
check "no other folder is shared" holds "$(journalctl --boot --unit=vmsilo-share@home:home --output=cat)" \
  'this is not the folder that was there when the VM started'
check "virtiofsd does not start" same 1 "$(words vmsilo-share@home:home.service | grep --count shared-dir)"
rm -r /run/vmsilo/home

# What is wrong with a file is told as it is, with its line.
refusal=$("$(find /usr/lib/systemd/system-generators -name vmsilo-generator)" --check 2>/dev/null)
check "an error shows its line" holds "$refusal" "    $(tail -n 1 /etc/vmsilo/bad.toml)"$'\n' 'did you mean "memory"?'
systemctl start vmsilo@bad 2>/dev/null
check "the refusal is what --check prints" holds $'\n'"$(words vmsilo-user@bad)"$'\n' $'\n'"--refusal=$refusal"$'\n'
check "the journal says it" holds "$(journalctl --boot --output=cat OBJECT_SYSTEMD_UNIT=vmsilo@bad.service)" "error: $refusal"
check "and so does systemctl status, line by line" holds \
  "$(systemctl status --no-pager --full vmsilo@bad 2>&1)" "$(tail -n 1 /etc/vmsilo/bad.toml)"
check "nothing is left" nothing_left
finish
