# shellcheck shell=bash
# What scenarios share. tests/host puts it beside the scenario on the machine that it boots, where it is sourced.

failures=0

# check WHAT COMMAND… runs the command and says whether it succeeded.
check() {
  local what=$1 out
  shift
  if out=$("$@" 2>&1); then
    echo "ok: $what"
  else
    echo "FAILED: $what"
    # shellcheck disable=SC2001 # each line of it
    sed 's/^/    /' <<<"$out"
    failures=$((failures + 1))
  fi
}

# finish ends the scenario with status 1 if a check failed, and then with what the journal holds.
finish() {
  [[ $failures -gt 0 ]] || exit 0
  echo "$failures checks failed; the journal:"
  journalctl --boot --no-pager --output=short-monotonic --lines=200
  exit 1
}

# journalctl shows what was said until now: journald reads a moment later what a process has said.
journalctl() { command journalctl --sync; command journalctl "$@"; }

# same WANT GOT compares two texts.
same() {
  [[ $1 == "$2" ]] || { printf 'want: %s\ngot:  %s\n' "$1" "$2" && return 1; }
}

# holds TEXT PART… tells whether the text holds every part.
holds() {
  local text=$1 part
  shift
  for part in "$@"; do
    [[ $text == *"$part"* ]] || { printf 'no "%s" in: %s\n' "$part" "$text" && return 1; }
  done
}

# in_order TEXT PART… tells whether the text holds the words, in this order.
in_order() {
  local text=$1 part
  shift
  for part in "$@"; do
    [[ $text == *"$part"* ]] || { printf 'no "%s" after that, in: %s\n' "$part" "$text" && return 1; }
    text=${text#*"$part"}
  done
}

# fails COMMAND… succeeds when the command fails.
fails() {
  ! "$@"
}

# guest VM COMMAND runs a line of shell as root in the guest, on its console; output and status are the command's.
guest() {
  local vm=$1 try status=''
  for try in {1..4}; do
    [[ -S /run/vmsilo/$vm/vmm/console.sock ]] || sleep 1
    coproc CONSOLE { socat - "UNIX-CONNECT:/run/vmsilo/$vm/vmm/console.sock" 2>/dev/null; }
    console_ask "m$RANDOM$RANDOM-$try" "$2"
    kill "$CONSOLE_PID" 2>/dev/null
    wait "$CONSOLE_PID" 2>/dev/null
    [[ -z $status ]] || return "$status"
  done
  echo "no answer on the console of $vm"
  return 125
}

# console_ask MARK COMMAND runs the command in the shell behind $CONSOLE and leaves its status in $status. A shell that
# has only just started may lose what is typed: without a begin, the command has not run and may be asked for again.
console_ask() {
  local mark=$1 line begun=''
  console_greet "$mark" || return 0
  # The command goes over in a form in which the terminal changes nothing; its echo is no line of its own.
  printf 'echo %s-begin; base64 -d <<<%s | bash 2>&1; echo %s-end:$?\n' \
    "$mark" "$(base64 --wrap=0 <<<"$2")" "$mark" >&"${CONSOLE[1]}"
  while read -r -t $((begun ? 60 : 10)) line <&"${CONSOLE[0]}"; do
    line=${line//$'\r'/}
    case $line in
    "$mark-begin") begun=1 ;;
    "$mark-end:"*) status=${line#*-end:} && return ;;
    *) [[ -z $begun ]] || printf '%s\n' "$line" ;;
    esac
  done
  [[ -z $begun ]] || status=124
}

# console_greet MARK waits until the shell answers: it comes a moment after the guest is ready, and does not see
# what was typed before.
console_greet() {
  local try line
  for try in {1..20}; do
    { printf '\necho %s-hello-%s\n' "$1" "$try" >&"${CONSOLE[1]}"; } 2>/dev/null || return 1
    while read -r -t 1 line <&"${CONSOLE[0]}"; do
      [[ ${line//$'\r'/} != "$1-hello-"* ]] || return 0
    done
  done
  return 1
}

# leftovers [VM…] prints whatever is on the machine of the given VMs, or of any; nothing is right after a stop.
leftovers() {
  local vm path word
  for vm in "${@:-*}"; do
    word=${vm//\*/[a-z][a-z0-9-]*}
    # shellcheck disable=SC2231 # the VM may be a pattern
    for path in /sys/class/net/$vm-[0-9]* /run/vmsilo/$vm /run/vmsilo/$vm:* /run/vmsilo/.netdev/$vm:* /run/vmsilo/.on-demand/$vm /run/vmsilo/.netvm/$vm /run/vmsilo/.pci/$vm /run/vmsilo/.pci/$vm.* /sys/class/net/$vm-br /run/vmsilo/$vm.console /run/vmsilo/$vm.vmm /run/vmsilo/$vm.run /run/userdb/*vmsilo-$vm.* \
      /var/lib/vmsilo/$vm/ephemeral.qcow2*; do
      [[ ! -e $path && ! -L $path ]] || echo "left: $path"
    done
    nft list tables 2>/dev/null | grep --regexp=" vmsilo-$word-\(br\|[0-9]*\)\$" | sed 's/^/left: /'
    [[ $vm != '*' ]] || nft list tables 2>/dev/null | grep ' inet vmsilo$' | sed 's/^/left: /'
    systemctl list-units --all --plain --no-legend --state=active,activating,deactivating,reloading \
      "vmsilo*@$vm.*" "vmsilo*@$vm:*" | sed 's/^/left: unit /'
    pgrep --list-full --full "(qemu-system|crosvm|cloud-hypervisor|vhost-device|virtiofsd|vmsilo-).*[/=]$word\b" | sed 's/^/left: process /'
    findmnt --noheadings --raw --output TARGET | grep -E "^/(run/vmsilo|var/lib/vmsilo|shared)/$word(/|\$)" |
      grep -v '^/var/lib/vmsilo/images/' | sed 's/^/left: mount /'
    # The folder of its disk stays.
    # shellcheck disable=SC2046 # two words or four
    find /run /var/lib/vmsilo /var/tmp /tmp /dev/shm -xdev $(owned_by "$vm") -not -regex '/var/lib/vmsilo/[^/]*' -printf 'left: %p of uid %U\n' 2>/dev/null
    grep -oE "/(run|var/lib)/vmsilo/${word}([/:]|\.console|\.vmm|\.run).*" /proc/net/unix | sed 's/^/left: socket /'
  done
}

# owned_by VM prints how find(1) tells files of the VM's user, or with * of any VM's.
owned_by() {
  local id
  id=$(sed -n 's/^id = //p' "/etc/vmsilo/$1.toml" 2>/dev/null)
  if [[ $1 == '*' ]]; then echo -uid +70002 -uid -80000; elif [[ -n $id ]]; then echo -uid $((70000 + id)); else echo -false; fi
}

# nothing_left VM… waits until nothing is left of the VMs: a second is what it may take, three on a machine that is busy, as
# where another guest boots beside this host.
nothing_left() {
  local try left
  for try in {1..30}; do
    left=$(leftovers "$@")
    [[ -n $left ]] || return 0
    sleep 0.1
  done
  echo "after $try tenths of a second:"
  echo "$left"
  return 1
}

# stand_in HELPER COMMAND puts a script in the place of a helper, in which $real is the helper, until restore is called.
stand_in() {
  helper=$1
  [[ -e $helper ]] || helper=/usr/libexec/vmsilo/$1
  cp "$helper" /root/real
  install -D /root/real "/usr/libexec/vmsilo-real/${helper##*/}"
  printf '#!/bin/sh\nreal=/usr/libexec/vmsilo-real/%s\n%s\n' "${helper##*/}" "$2" >/root/stand-in
  chmod 755 /root/stand-in
  mount --bind /root/stand-in "$helper"
}

# restore puts the helper back, and kills all who wait to be: another one than stopped has seen may be on its way there.
restore() { umount --lazy "$helper" && await none_stands_in; }
none_stands_in() {
  pkill --signal=KILL --runstates=T --full "/bin/sh $helper"
  ! pgrep --full "/bin/sh $helper" >/dev/null
}

# stopped tells whether the stand-in waits to be killed.
stopped() { pgrep --runstates=T --full "/bin/sh $helper" >/dev/null; }

# soon COMMAND… succeeds when the command does, or does two seconds later: see nothing_left.
soon() { "$@" || { sleep 2 && "$@"; }; }

# quick COMMAND… succeeds when the command ends within five seconds, whatever its status.
quick() {
  local start=$EPOCHSECONDS
  "$@" || true
  [[ $((EPOCHSECONDS - start)) -le 5 ]]
}

# tiny_image FOLDER [deaf] makes the image of a guest of a few instructions. It says K on the first serial port, and
# powers off when the power button is pressed; a deaf one goes on. It cannot say that it is ready: see ready.
tiny_image() {
  install --directory "$1"
  tiny_kernel "${2:-}" >"$1/vmlinuz"
  echo "read by nobody" >"$1/initrd"
  truncate --size=1M "$1/root.erofs"
}

# bytes HEX… prints these bytes.
bytes() {
  # shellcheck disable=SC2059 # the format is made here
  printf "$(printf '\\x%s' "$@")"
}

# tiny_kernel [deaf] prints a kernel in the form of Linux's, Documentation/arch/x86/boot.rst. QEMU, with SeaBIOS, enters
# the part that is for real mode, and crosvm and cloud-hypervisor the other one.
tiny_kernel() {
  {
    # setup_sects, the boot flag, a jump over the rest of the header, its version, that it is loaded high, where, up to
    # where an initrd may be, and how long a command line it takes
    head --bytes=497 /dev/zero && bytes 01 && head --bytes=12 /dev/zero && bytes 55 aa
    bytes eb 5e && printf HdrS && bytes 06 02 && head --bytes=9 /dev/zero && bytes 01
    head --bytes=2 /dev/zero && bytes 00 00 10 00 && head --bytes=20 /dev/zero && bytes ff ff ff 37
    head --bytes=8 /dev/zero && bytes ff 07 00 00 && head --bytes=36 /dev/zero
    tiny_real_mode "$1"
  } | dd bs=1024 conv=sync status=none iflag=fullblock
  tiny_protected_mode | dd bs=512 conv=sync status=none iflag=fullblock
}

# The ports are those of QEMU's q35 with SeaBIOS: ACPI's PM1a at 0x600, the serial port at 0x3f8.
tiny_real_mode() {
  # mov dx,0x602; mov ax,0x100; out dx,ax: the power button is enabled
  [[ $1 == deaf ]] || bytes ba 02 06 b8 00 01 ef
  # mov dx,0x3f8; mov al,'K'; out dx,al; mov al,'\n'; out dx,al
  bytes ba f8 03 b0 4b ee b0 0a ee
  # mov dx,0x600; again: sti; hlt; in ax,dx; test ah,1; jz again: it was pressed
  bytes ba 00 06 fb f4 ed f6 c4 01 74 f8
  # mov dx,0x604; mov ax,0x2000; out dx,ax; hlt: S5
  bytes ba 04 06 b8 00 20 ef f4
}

# It says, too, what devices there are on the first PCI bus, each as its number, its function, its kind and its vendor; and it
# echoes what comes on the second serial port: after an r it reboots, and after an h it does nothing more. The ports are
# crosvm's: ACPI's PM1a at 0xc000, the serial ports at 0x3f8 and 0x2f8.
tiny_protected_mode() {
  # mov dx,0x3f8; mov al,'K'; out dx,al; mov al,'\n'; out dx,al; xor ebx,ebx
  bytes 66 ba f8 03 b0 4b ee b0 0a ee 31 db
  # device: mov eax,ebx; shl eax,8; bts eax,31; mov dx,0xcf8; out dx,eax; mov dl,0xfc; in eax,dx; cmp eax,-1; je none
  bytes 89 d8 c1 e0 08 0f ba e8 1f 66 ba f8 0c ef b2 fc ed 83 f8 ff 74 30
  # mov dx,0x3f8; push eax; mov eax,ebx; shl eax,21; mov cl,2; call hex; mov al,'.'; out dx,al
  bytes 66 ba f8 03 50 89 d8 c1 e0 15 b1 02 e8 5d 00 00 00 b0 2e ee
  # mov eax,ebx; and al,7; shl eax,28; mov cl,1; call hex; mov al,' '; out dx,al
  bytes 89 d8 24 07 c1 e0 1c b1 01 e8 4c 00 00 00 b0 20 ee
  # pop eax; mov cl,8; call hex; mov al,'\n'; out dx,al
  bytes 58 b1 08 e8 41 00 00 00 b0 0a ee
  # none: inc bl; jnz device
  bytes fe c3 75 b6
  # again: mov ecx,0x1000; wait: loop wait; mov dx,0xc000; in ax,dx; test ah,1; jnz off: the power button was pressed
  bytes b9 00 10 00 00 e2 fe 66 ba 00 c0 66 ed f6 c4 01 75 1c
  # mov dx,0x2fd; in al,dx; test al,1; jz again; mov dl,0xf8; in al,dx; out dx,al
  bytes 66 ba fd 02 ec a8 01 74 e5 b2 f8 ec ee
  # cmp al,'h'; je halt; cmp al,'r'; jne again; mov al,0xfe; out 0x64,al; halt: hlt; jmp halt
  bytes 3c 68 74 08 3c 72 75 d9 b0 fe e6 64 f4 eb fd
  # off: mov dx,0xc004; mov ax,0x2000; out dx,ax; jmp halt: S5
  bytes 66 ba 04 c0 66 b8 00 20 66 ef eb f1
  # hex: mov esi,eax; digit: rol esi,4; mov eax,esi; and al,15; add al,'0'; cmp al,'9'; jbe decimal; add al,'a'-'9'-1
  bytes 89 c6 c1 c6 04 89 f0 24 0f 04 30 3c 39 76 02 04 27
  # decimal: out dx,al; dec cl; jnz digit; ret
  bytes ee fe c9 75 ec c3
}

# ready VM says READY=1 as the vsock device of a guest does that is up, once the tiny one is.
ready() {
  await tiny_is_up "$1" && printf READY=1 | socat -u - "UNIX-CONNECT:/run/vmsilo/$1/vsock/host.sock_5001"
}

# tiny_is_up VM tells whether the guest has said something in this run of the VM, which has begun.
tiny_is_up() {
  local run
  [[ -d /run/vmsilo/$1/vmm ]] || return 1
  run=$(systemctl show --property=InvocationID --value "vmsilo@$1")
  # A file of the journal that is being made is one that it complains of.
  # It is asked often, and need not know at once.
  [[ -n $run && -n $(command journalctl --quiet --boot --lines=1 --output=cat --identifier="$1-guest" "_SYSTEMD_INVOCATION_ID=$run" 2>/dev/null) ]]
}

# tiny_start VM starts it, and says in the place of its guest that it is up.
tiny_start() {
  systemctl start "vmsilo@$1" &
  ready "$1" && wait $!
}

# tiny_devices VM prints what devices a tiny guest of crosvm or cloud-hypervisor has seen: of those that are virtio's the
# number, the function and the kind.
tiny_devices() {
  log_of "$1" "$1-guest" | sed -n 's/^\(..\..\) \(10..\)1af4$/\1 \2/p' |
    sed 's/1041/net/; s/1042/disk/; s/1043/console/; s/1044/rng/; s/1045/balloon/; s/1050/gpu/; s/1053/vsock/; s/1059/sound/; s/105a/fs/'
}

# tiny_host makes this host one where tiny guests of crosvm or cloud-hypervisor run: those of tests/scenarios/vmms.
tiny_host() {
  own_kvm
  tiny_image /srv/image
  mkdir /srv/docs
  systemctl daemon-reload
}

# own_kvm gives this host the KVM of the machine that it is on.
own_kvm() { mknod --mode=660 /dev/kvm c 10 232 && chgrp kvm /dev/kvm; }

# not_started VM PART… starts the VM, which must fail; systemctl status and vmsilo why hold these words.
not_started() {
  check "$1 does not start" fails systemctl start "vmsilo@$1"
  journalctl --sync
  check "systemctl status says why" holds "$(systemctl status --no-pager --full "vmsilo@$1")" "${@:2}"
  check "so does vmsilo why" holds "$(vmsilo why "$1")" "vmsilo@$1.service failed at " "${@:2}"
  check "nothing is left" nothing_left "$1"
}

# needs_kvm VMM looks what a VM of it, many, says on hosts whose KVM cannot be had.
needs_kvm() {
  local error="error: $1 needs KVM: opening \"/dev/kvm\""
  rm /dev/kvm
  not_started many "$error: no such file or directory" "load the module kvm_intel or kvm_amd" 'hypervisor = "qemu"'
  mknod --mode=600 /dev/kvm c 10 232
  not_started many "$error: permission denied" "chgrp kvm /dev/kvm"
  rm /dev/kvm && mknod --mode=666 /dev/kvm c 1 3
  not_started many "error: $1 needs KVM: making a virtual machine with \"/dev/kvm\": inappropriate ioctl for device"
  rm /dev/kvm
  own_kvm
}

# helper_of VM prints the PID of the helper that runs its VMM, and vmm_of VM that of the VMM.
helper_of() { systemctl show --property=MainPID --value "vmsilo@$1"; }
vmm_of() { pgrep --parent "$(helper_of "$1")"; }

# another VM PID tells whether the VM has begun a new start, whose helper is not that one.
another() {
  [[ $(helper_of "$1") != 0 && $(helper_of "$1") != "$2" && $(systemctl show --property=SubState --value "vmsilo@$1") == start-post ]]
}

# play_internet has a namespace play the internet, to which eth9 leads. It has a name server on two addresses of each family, each
# with an answer of its own, and something that greets whoever comes to port 7.
play_internet() {
  local address each
  install --mode=755 /dev/stdin /usr/local/bin/name-server <<'END'
#!/usr/bin/perl
# name-server ADDRESS ANSWER answers each question for an address with the same one.
use Socket qw(:all);
my ($address, $answer) = @ARGV;
my $v6 = $address =~ /:/;
socket(S, $v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0) or die;
bind(S, $v6 ? pack_sockaddr_in6(53, inet_pton(AF_INET6, $address)) : pack_sockaddr_in(53, inet_aton($address))) or die "$!";
while (my $from = recv(S, my $question, 512, 0)) {
  # The question is a name, a type and a class; what follows it are options.
  my ($end) = (index($question, "\0", 12));
  my ($id, $asked) = (substr($question, 0, 2), substr($question, 12, $end - 12 + 5));
  my $type = unpack("n", substr($asked, -4, 2));
  my $data = $type == 1 ? inet_aton($answer) : "";
  my $record = $data eq "" ? "" : pack("nnnNn", 0xc00c, 1, 1, 0, 4) . $data;
  send(S, $id . pack("n5", 0x8180, 1, $record eq "" ? 0 : 1, 0, 0) . $asked . $record, 0, $from);
}
END
  # shellcheck disable=SC2016 # for the program
  printf '#!/bin/sh\necho hello "$SOCAT_PEERADDR"\n' | install --mode=755 /dev/stdin /usr/local/bin/greet
  ip netns add internet
  ip link add eth9 type veth peer name peer netns internet
  ip address add 198.51.100.2/24 dev eth9
  ip address add 2001:db8:1::2/64 dev eth9 nodad
  ip link set eth9 up
  ip route add default via 198.51.100.1
  ip -6 route add default via 2001:db8:1::1
  ip -netns internet link set lo up
  ip -netns internet address add 198.51.100.1/24 dev peer
  ip -netns internet address add 2001:db8:1::1/64 dev peer nodad
  for address in 203.0.113.53/32 203.0.113.54/32 2001:db8:2::53/128 2001:db8:2::54/128; do
    ip -netns internet address add "$address" dev lo
  done
  ip -netns internet link set peer up
  for each in '203.0.113.53 192.0.2.53' '2001:db8:2::53 192.0.2.53' '203.0.113.54 192.0.2.54' '2001:db8:2::54 192.0.2.54'; do
    # shellcheck disable=SC2086 # two words
    ip netns exec internet name-server $each &
  done
  for address in 203.0.113.53 '[2001:db8:2::53]'; do
    ip netns exec internet socat "TCP-LISTEN:7,fork,bind=$address,pf=$([[ $address == \[* ]] && echo ip6 || echo ip4)" \
      EXEC:/usr/local/bin/greet &
  done
  printf 'nameserver 203.0.113.53\nnameserver 2001:db8:2::53\n' >/etc/resolv.conf
  await have_addresses eth9
}

# have_addresses LINK… tells whether each has its own address of IPv6, which it gets a moment after it is up.
have_addresses() {
  local link
  for link; do
    [[ -n $(ip -6 address show dev "$link" scope link -tentative) ]] || return 1
  done
}

# guest_ping VM FAMILY PROTOCOL TYPE ADDRESS has a guest ping it, with the kernel's own sockets for that, and prints what comes back.
guest_ping() {
  guest "$1" "sysctl -qw net.ipv4.ping_group_range='0 2147483647'
    perl -MSocket=:all -e 'alarm 20; socket(S, $2, SOCK_DGRAM, $3) or die qq(\$!);
    my (undef, \$to) = getaddrinfo(qq($5), 7, {flags => AI_NUMERICHOST}); send(S, pack(qq(CCnnn), $4, 0, 0, 1, 1) . qq(ping), 0, \$to->{addr});
    recv(S, my \$a, 100, 0); print substr(\$a, 8) . qq(\n)'"
}

# ends_with VM PID tells whether the VM ends, and leaves nothing, when that process is killed.
ends_with() {
  kill -KILL "$2" && await fails systemctl --quiet is-active "vmsilo@$1" && nothing_left "$1"
}

# renews VM COMMAND… tells whether what the guest is made to do by the command is a new start with a new disk.
renews() {
  local vm=$1 helper status=0
  helper=$(helper_of "$vm")
  shift
  exec 5<"/var/lib/vmsilo/$vm/ephemeral.qcow2"
  "$@" >/dev/null && await another "$vm" "$helper" && tiny_start "$vm" && same 0 "$(stat --dereference --format=%h /dev/fd/5)" || status=1
  exec 5<&-
  return "$status"
}

# type_on VM TEXT types it on the VM's console, and prints what comes back within a second.
type_on() {
  { printf %s "$2" && sleep 1; } | timeout 10 socat - "UNIX-CONNECT:/run/vmsilo/$1/vmm/console.sock"
}

# listed VM prints its state as vmsilo list has it.
listed() { vmsilo list --json | jq --raw-output --arg vm "$1" '.[] | select(.name == $vm).state'; }

# log_of VM IDENTIFIER prints what the journal has of the VM's run from that identifier.
log_of() {
  journalctl --boot --output=cat --identifier="$2" \
    "_SYSTEMD_INVOCATION_ID=$(systemctl show --property=InvocationID --value "vmsilo@$1")"
}

# host_state prints all that VMs must leave of the host's network as it was: rules, links, addresses, routes, and settings.
host_state() {
  nft list ruleset
  ip -brief link | awk '{ print $1, $3 }'
  for what in address route rule; do
    ip -4 -oneline "$what" show && ip -6 -oneline "$what" show
  done
  ip route show table local && ip -6 route show table local
  # Not how many connections there are now.
  grep --recursive '' /proc/sys/net 2>/dev/null | grep --invert-match /nf_conntrack_count: | sort
}

# await COMMAND… waits until the command succeeds, half a minute at most.
await() {
  local deadline=$((EPOCHSECONDS + 30))
  until "$@"; do
    [[ $EPOCHSECONDS -lt $deadline ]] || { echo "not within 30 s: $*" && return 1; }
    sleep 0.02
  done
}

# starts_of VM prints how often its VMM, which is QEMU, was started.
starts_of() { journalctl --boot --unit="vmsilo@$1" --identifier=vmsilo-qemu --grep='^starting ' --output=cat | wc --lines; }

# becomes PATTERN COMMAND… waits until the command prints what the pattern matches, in one line; two minutes at most.
becomes() {
  local try got
  for try in {1..1200}; do
    got=$("${@:2}" | xargs)
    [[ ! $got =~ $1 ]] || return 0
    sleep 0.1
  done
  echo "$got"
  return 1
}

# desktop COMMAND… runs it as alice, in whose session the compositor is.
desktop() {
  runuser -u alice -- env --chdir=/home/alice XDG_RUNTIME_DIR=/run/user/1000 "$@"
}

# session_start starts alice's service manager, to stay.
session_start() {
  loginctl enable-linger alice
  becomes '^active$' systemctl is-active user@1000
}

# compositor_start OPTION… starts sway without a screen, as a unit of alice's service manager, with options of systemd-run. It
# tells the manager where it listens.
compositor_start() {
  session_start || return 1
  desktop systemctl --user unset-environment WAYLAND_DISPLAY
  printf 'exec systemctl --user import-environment WAYLAND_DISPLAY\noutput HEADLESS-1 resolution 800x600\n' >/home/alice/sway
  desktop systemd-run --user --quiet --collect --unit=sway --setenv=WLR_BACKENDS=headless --setenv=WLR_RENDERER=pixman \
    --setenv=WLR_LIBINPUT_NO_DEVICES=1 "$@" sway --config /home/alice/sway
  becomes '^WAYLAND_DISPLAY=' compositor_display
}

# compositor_display prints where the compositor listens, as its session says.
compositor_display() { desktop systemctl --user show-environment | sed -n '/^WAYLAND_DISPLAY=/p'; }

# compositor_ask asks the compositor: swaymsg(1).
compositor_ask() {
  local socket
  socket=$(find /run/user/1000 -maxdepth 1 -name 'sway-ipc.*.sock' -printf '%T@ %p\n' | sort --numeric-sort | tail -n 1)
  desktop swaymsg --socket "${socket#* }" "$@"
}
