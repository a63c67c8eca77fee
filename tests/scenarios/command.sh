#!/bin/bash
# What people type about VMs that do not run: list, why, and the messages of run, shell and console.
# host: --no-image
# shellcheck disable=SC2317 # functions that check calls
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

write() {
  cat >"/etc/vmsilo/$1.toml"
}

# as USER COMMAND… prints what the command prints, both ways, and its status last.
as() {
  local status=0
  runuser --user="$1" -- "${@:2}" 2>&1 </dev/null || status=$?
  echo "status $status"
}

# row VM prints the VM's state, time, memory and addresses in the list that bob sees.
row() {
  runuser --user=bob -- vmsilo list --json |
    jq --raw-output --arg vm "$1" '.[] | select(.name == $vm) | [.color, .state, (.since != null), .memory, (.addresses // [] | join(","))] | @tsv' |
    tr '\t' ' '
}

mkdir -p /srv/image
touch /srv/image/{vmlinuz,initrd,root.erofs}
printf 'id = 3\nmemroy = "1G"\n' | write bad
printf 'id = 4\nhypervisor = "qemu"\n' | write noimage
printf 'id = 5\nhypervisor = "qemu"\nimage = "/srv/image"\ndepends_on = ["noimage"]\n' | write client
printf 'id = 6\nhypervisor = "qemu"\nimage = "/srv/image"\ndepends_on = ["bad"]\nshared_home = false\n' | write child
printf 'id = 7\nhypervisor = "qemu"\nimage = "/srv/image"\nuser = "bob"\nshared_home = false\ncolor = "#ff8800"\n' | write work
cat >>/etc/vmsilo/work.toml <<'END'
[network.interfaces.a]
addresses = ["10.1.2.3/24", "fd00::1/64"]
host_address = "10.1.2.1/24"
[network.interfaces.b]
host_address = "10.1.3.1/24"
END
printf 'id = 8\nhypervisor = "qemu"\nimage = "/srv/image"\nshared_home = false\n' | write masked

check "a VM that systemd has not heard of" holds "$(as alice vmsilo why work)" \
  "nobody has started it, or it ended" "systemd has not read its file as it is now" "hint: systemctl daemon-reload" "status 1"
systemctl daemon-reload
systemctl --quiet mask vmsilo@masked.service
check "a VM that nobody has started" same "work is stopped: nobody has started it, or it ended without a failure
hint: systemctl start vmsilo@work.service
status 1" "$(as alice vmsilo why work)"
check "a masked VM" holds "$(as alice vmsilo why masked)" "masked is masked" "hint: systemctl unmask vmsilo@masked.service" "status 1"
check "a VM whose file is wrong" same 'the configuration of bad has errors:
/etc/vmsilo/bad.toml:2:1: unknown key "memroy"
    memroy = "1G"
    ^~~~~~
    hint: did you mean "memory"?
status 1' "$(as alice vmsilo why bad)"
check "a VM that needs it" holds "$(as alice vmsilo why child)" "child needs bad" "/etc/vmsilo/bad.toml:2:1" "status 1"
check "a name that no VM has" same 'vmsilo: error: no VM is named "wrok"
hint: did you mean work?
status 1' "$(as alice vmsilo why wrok)"
check "one that is like none" holds "$(as alice vmsilo why zebra)" "there are: bad, child, client, masked, noimage, work"
check "neither is a path one" holds "$(as alice vmsilo why ../../etc/passwd)" 'no VM is named "../../etc/passwd"'

check "the list has what is configured" same "#ff8800 stopped false  10.1.2.3,fd00::1,10.1.3.1" "$(row work)"
check "a VM that is wrong is called so" same "grey misconfigured false  " "$(row bad)"
check "the list has a table" holds "$(as bob vmsilo list)" $'\nwork     #ff8800  stopped        -      -       10.1.2.3 fd00::1 10.1.3.1\n' "status 0"
check "which has no colour where there is no terminal" fails grep --quiet $'\x1b' <(vmsilo list)
check "a terminal shows the colour" holds "$(script --quiet --return --command 'vmsilo list' /dev/null)" $'\x1b[38;2;255;136;0m●\x1b[0m work'
check "unless nobody wants it" fails grep --quiet $'\x1b' <(NO_COLOR=1 script --quiet --return --command 'vmsilo list' /dev/null)

# Both, as each may have failed before the other.
systemctl start vmsilo@client vmsilo@noimage 2>/dev/null
journalctl --sync
if [[ -x /usr/bin/qemu-system-x86_64 ]]; then
  check "a VM that needs one which failed" holds "$(vmsilo why client)" "client needs noimage" "vmsilo-user@noimage.service failed at "
fi
why=$(vmsilo why noimage)
check "a VM that failed" holds "$why" "vmsilo-user@noimage.service failed at " "it ended with exit status 1" '    error: VM "noimage" cannot start: its kernel "/var/lib/vmsilo/images/default/vmlinuz" is not there'
check "the log is what the unit says itself" same 2 "$(wc --lines <<<"$why")"
check "and the list says that the VM failed" becomes '^grey failed true$' row noimage
check "who cannot read the log is told" holds "$(as bob vmsilo why noimage)" "it ended with exit status 1" "group systemd-journal" "status 1"
usermod --append --groups systemd-journal bob
check "who can is not" fails grep --quiet "systemd-journal" <(as bob vmsilo why noimage)

# A failure of long ago does not stand for the last one.
if [[ -x /usr/bin/qemu-system-x86_64 ]]; then
  systemctl start vmsilo@work 2>/dev/null
  journalctl --sync
  check "a VMM that ends" holds "$(vmsilo why work)" "vmsilo@work.service failed at " "it ended with exit status 1" "could not load kernel"
  check "nothing is left of it" nothing_left work
  mv /srv/image/initrd /srv/away
  systemctl start vmsilo@work 2>/dev/null
  journalctl --sync
  check "a later failure counts" holds "$(vmsilo why work)" "vmsilo-user@work.service failed at " 'its initrd "/srv/image/initrd" is not there'
  check "nothing is left of that" nothing_left work
  mv /srv/away /srv/image/initrd
  systemctl start vmsilo@work 2>/dev/null
  journalctl --sync
  check "and the one after that, with its own log alone" same 1 "$(vmsilo why work | grep --count "could not load kernel")"
  check "which is the VMM's" holds "$(vmsilo why work)" "vmsilo@work.service failed at " "could not load kernel"
  # Arguments that it does not take, and why one does not take ours.
  printf 'id = 9\nhypervisor = "qemu"\nimage = "/srv/image"\nshared_home = false\nhypervisor_args = ["--nonsense"]\n' | write odd
  systemctl daemon-reload
  systemctl start vmsilo@odd 2>/dev/null
  journalctl --sync
  check "a VMM that ends at once" holds "$(systemctl status --no-pager --full vmsilo@odd)" "--nonsense: invalid option"
  check "vmsilo why says the same" holds "$(vmsilo why odd)" "vmsilo@odd.service failed at " "it ended with exit status 1" "--nonsense: invalid option"
  mv /usr/bin/qemu-system-x86_64 /usr/bin/qemu-system-x86_64.away
  # shellcheck disable=SC2016 # for the other shell
  printf '#!/bin/bash\n[[ $1 != --version ]] || exec echo "QEMU emulator version 5.2.0 (Debian 1:5.2)"\necho "qemu: -action: invalid option" >&2\nexit 1\n' >/usr/bin/qemu-system-x86_64
  chmod 755 /usr/bin/qemu-system-x86_64
  systemctl start vmsilo@odd 2>/dev/null
  journalctl --sync
  check "one that is too old" holds "$(vmsilo why odd)" "qemu: -action: invalid option" 'error: "/usr/bin/qemu-system-x86_64" is QEMU 5.2.0, which is too old: 6.0 or later is needed'
  check "systemctl status says so, too" holds "$(systemctl status --no-pager --full vmsilo@odd)" "which is too old: 6.0 or later is needed"
  mv /usr/bin/qemu-system-x86_64.away /usr/bin/qemu-system-x86_64
  rm /etc/vmsilo/odd.toml
  # A VMM that says nothing until the time is up; what it says is no business of a terminal.
  mv /usr/bin/qemu-system-x86_64 /usr/bin/qemu-system-x86_64.away
  printf '#!/bin/bash\nprintf "\\e[2J\\e]0;x\\a hello\\n"\nexec sleep 600\n' >/usr/bin/qemu-system-x86_64
  chmod 755 /usr/bin/qemu-system-x86_64
  sed -i '1i start_timeout = "10s"' /etc/vmsilo/work.toml
  systemctl daemon-reload
  systemctl start --no-block vmsilo@work
  begun() { [[ $(systemctl show --property=SubState --value vmsilo@work) == start-post ]]; }
  await begun
  check "a VM that starts" holds "$(as alice vmsilo why work)" "work is starting since" "waiting for the guest" "status 1"
  check "the list says so" becomes '^#ff8800 starting true' row work
  check "until the time is up" becomes '^failed$' systemctl is-active vmsilo@work
  journalctl --sync
  why=$(vmsilo why work)
  check "a guest that is not up in time" holds "$why" "vmsilo@work.service failed at " "it was not done in time" '?[2J?]0;x? hello'
  check "nothing that a terminal acts on is shown" fails grep --quiet $'\x1b' <<<"$why"
  mv /usr/bin/qemu-system-x86_64.away /usr/bin/qemu-system-x86_64
fi

# Programs.
check "run: a name that no VM has" same 'vmsilo: error: no VM is named "wrok"
hint: did you mean work?
status 125' "$(as bob vmsilo run wrok true)"
check "run: a VM whose file is wrong" holds "$(as alice vmsilo run bad true)" 'the configuration of VM "bad" has errors' "/etc/vmsilo/bad.toml:2:1" "status 125"
check "run: --help" holds "$(as alice vmsilo run --help)" "--directory=DIR" "status 0"
check "console: a VM that does not run" same 'vmsilo: error: VM "work" is not running
hint: systemctl start vmsilo@work.service
status 1' "$(as bob vmsilo console work)"
check "console: a name that no VM has" holds "$(as bob vmsilo console wrok)" "did you mean work?" "status 1"

# VMs that are asked for and do not start.
check "run: a VM of somebody else" same 'vmsilo: error: VM "work" belongs to user bob
hint: only that user and root can run programs in it
status 125' "$(as alice vmsilo run work true)"
check "run: a VM that cannot start" holds "$(as alice vmsilo run noimage true)" \
  $'vmsilo: error: VM "noimage" could not be started: the start of vmsilo@noimage.service has ended as "dependency"\nvmsilo-user@noimage.service failed at ' \
  "status 125"
check "run: a VM that is masked" holds "$(as alice vmsilo run masked true)" 'VM "masked" could not be started: Unit vmsilo@masked.service is masked.' \
  "hint: to see why: vmsilo why masked" "status 125"
printf 'id = 9\nhypervisor = "qemu"\nimage = "/srv/image"\nshared_home = false\n' | write later
check "run: a VM that systemd has not heard of" same 'vmsilo: error: systemd knows no VM "later", or its file is wrong
hint: to see why: vmsilo why later
status 125' "$(as alice vmsilo run later true)"
rm /etc/vmsilo/later.toml
systemctl stop vmsilo-demand.socket
check "run: nobody to ask" same 'vmsilo: error: asking the host for VM "noimage": connect: no such file or directory
hint: as root: systemctl start vmsilo-demand.socket
status 125' "$(as alice vmsilo run noimage true)"
systemctl start vmsilo-demand.socket

# listens SOCKET MODE USER COMMAND has a program listen in the place of a guest, until $listener is killed.
listens() {
  socat "UNIX-LISTEN:$1,fork,mode=$2,user=$3" "SYSTEM:$4" &
  listener=$!
  # That it is there is not enough: it is bound before it listens, which is the flag.
  await grep --quiet " 00010000 .* $1\$" /proc/net/unix
}

silence() {
  kill "$listener"
  wait "$listener" 2>/dev/null
  rm -f "$1"
}

# A VM that runs, behind whose socket is something else.
listens /run/vmsilo/work.run 600 bob true
check "run: a VM of somebody else that runs" same 'vmsilo: error: VM "work" belongs to user bob
hint: only that user and root can run programs in it
status 125' "$(as alice vmsilo run work true)"
check "its owner gets through" holds "$(as bob vmsilo run work true)" 'VM "work" went away before it answered' "hint: to see why: vmsilo why work" "status 125"
silence /run/vmsilo/work.run

# What the host says in the place of a connection to the guest.
listens /run/vmsilo/noimage.run 666 root 'echo no luck'
check "run: a VM that cannot run it" holds "$(as root vmsilo run noimage true)" $'vmsilo: error: no luck\nvmsilo-user@noimage.service failed at ' \
  'error: VM "noimage" cannot start' "status 125"
silence /run/vmsilo/noimage.run

# Without D-Bus.
nobody=(env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere)
check "list: no D-Bus" holds "$(as alice "${nobody[@]}" vmsilo list)" "vmsilo: error: asking org.vmsilo1 about the VMs: " "status 1"
check "why: what is wrong with a file is said without it" holds "$(as alice "${nobody[@]}" vmsilo why bad)" "/etc/vmsilo/bad.toml:2:1"
check "why: root needs no D-Bus" holds "$(as root "${nobody[@]}" vmsilo why masked)" "masked is masked"

# The names and versions of images, in bash.
mkdir -p /var/lib/vmsilo/images/.old/{v1,v2}
ln --symbolic .old/v1 /var/lib/vmsilo/images/old
# shellcheck disable=SC2016 # for the other shell
offered=$(bash -c 'source /usr/share/bash-completion/completions/vmsilo; COMP_WORDS=(vmsilo image use old "") COMP_CWORD=4; _vmsilo
  echo "${COMPREPLY[*]}"; COMP_WORDS=(vmsilo image remove "") COMP_CWORD=3; _vmsilo; echo "${COMPREPLY[*]}"
  COMP_WORDS=(vmsilo why "") COMP_CWORD=2; _vmsilo; echo "${COMPREPLY[*]}"
  COMP_WORDS=(vmsilo image build new --recipe "=" deb) COMP_CWORD=6; _vmsilo; echo "${COMPREPLY[*]}"')
check "completion knows versions, images, VMs and recipes" same "v1 v2
old
bad child client masked noimage work
debian-12 debian-13-desktop debian-13" "$offered"
for page in vmsilo vmsilo-{run,shell,console,pause,resume,balloon,resize,list,why,check,image}; do
  check "man page $page" test -s "/usr/share/man/man1/$page.1"
done
check "nothing is left" nothing_left
finish
