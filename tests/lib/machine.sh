# shellcheck shell=bash disable=SC2154 # variables of the files that it names below
# A machine with systemd as PID 1: systemd-nspawn on an overlay. Sourced; uses say.sh, process.sh, namespace.sh.
#
# host_create and host_disk leave a machine that is not booted at $machine; its files are at $machine/root.
# host_boot, host_exec and host_stop or host_cut may then be called in turn, as often as wanted; /var stays between them.
# host_destroy removes all of it, also in the middle of anything.

# disk_directory prints where machines are kept: on a real disk, as neither an overlay nor a file with holes can be on
# everything.
disk_directory() {
  local path
  for path in "${TMPDIR:-}" /var/tmp "$cache"; do
    [[ -n $path && -d $path ]] || continue
    case $(stat -f -c %T "$path") in
    ext2/ext3 | xfs | btrfs | f2fs | bcachefs | zfs) echo "$path" && return ;;
    esac
  done
  die "neither \$TMPDIR, /var/tmp nor $cache is on a disk with a file system that an overlay can be on" \
    "set TMPDIR to a folder on ext4, xfs or btrfs"
}

# host_create makes a machine without a disk, and the cgroup that all is in which the script starts from here on.
host_create() {
  local base
  base=$(disk_directory)
  machine=$(mktemp -d "$base/vmsilo-host.XXXXXX")
  exec 9>"$machine/lock"
  flock -n 9
  own_cgroup "${machine##*/}"
  sweep "$base"
}

# host_disk ROOT gives the machine a disk: an overlay over the root directory ROOT.
host_disk() {
  mkdir "$machine/upper" "$machine/work" "$machine/root"
  chmod 755 "$machine/upper"
  mount -t overlay -o "lowerdir=$1,upperdir=$machine/upper,workdir=$machine/work" "${machine##*/}" "$machine/root"
  # Everybody may open it, as udev has it on a real machine; what it then allows is the kernel's to say.
  mknod --mode=666 "$machine/tun" c 10 200
  tr -d - </proc/sys/kernel/random/uuid >"$machine/root/etc/machine-id"
}

# sweep BASE removes what scripts that were killed with SIGKILL left on disk; all else of theirs is dead.
sweep() {
  local path
  for path in "$1"/vmsilo-host.*; do
    [[ -O $path && -f $path/lock && ! -L $path ]] || continue
    # A script's machine is locked as long as it, or systemd-nspawn, lives.
    (flock -n 6 && cgroup_remove "/sys/fs/cgroup/${path##*/}" && rm -rf --one-file-system "$path") 6<"$path/lock" || true
  done
}

# host_boot OPTION… boots the machine with these options of systemd-nspawn and waits until it is up.
host_boot() {
  local start
  start=$(now)
  # A PID namespace around it that ends when unshare does, and unshare when this script does: even after SIGKILL
  # nothing runs on. (PID 1 inside outlives a killed systemd-nspawn otherwise.)
  # The last two options make DeviceAllow= of the units inside work: it is a BPF program.
  # With the network shared, /proc/sys/net would be read-only inside, as it is on no real machine.
  # shellcheck disable=SC2016
  SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network setsid bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$cgroup/host" \
    setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount-proc systemd-nspawn --quiet --keep-unit --register=no --directory="$machine/root" \
    --machine="${machine##*/}" --hostname=vmsilo-host --boot --console=pipe --link-journal=no --timezone=off \
    --resolv-conf=off --bind="$machine/tun":/dev/net/tun --capability=all --system-call-filter=bpf "$@" \
    </dev/null >"$machine/console" 2>&1 8>&- &
  nspawn=$!
  if ! host_await_leader || ! host_await_boot; then
    tail -n 20 "$machine/console" >&2
    die "the host did not boot"
  fi
  step "booted in $(seconds_since "$start"), $state"
}

# host_await_leader waits until the machine's PID 1 listens, and leaves it in $leader.
host_await_leader() {
  local try
  for try in {1..1500}; do
    kill -0 "$nspawn" 2>/dev/null || return 1
    leader=$(host_leader)
    [[ -z $leader || ! -S /proc/$leader/root/run/systemd/private ]] || return 0
    sleep 0.02
  done
  step "no systemd inside after $((try / 50)) s"
  return 1
}

# host_leader prints the PID of the machine's PID 1, if it is there already: the child of systemd-nspawn, which is
# the child of $nspawn, that is PID 1 of a third PID namespace.
host_leader() {
  local nspawn_pid pid
  for nspawn_pid in $(children "$nspawn"); do
    for pid in $(children "$nspawn_pid"); do
      ! grep -qE '^NSpid:.*\s[0-9]+\s1$' "/proc/$pid/status" 2>/dev/null || echo "$pid"
    done
  done
}

children() {
  cat "/proc/$1/task/$1/children" 2>/dev/null || true
}

# host_await_boot waits until the machine is up, and leaves its state in $state. VMs may still be starting.
host_await_boot() {
  timeout 90 nsenter --target "$leader" --all systemctl start multi-user.target || true
  state=$(nsenter --target "$leader" --all systemctl is-system-running) || true
  case $state in
  running) ;;
  starting) [[ $(nsenter --target "$leader" --all systemctl is-active multi-user.target) == active ]] ;;
  degraded)
    step "failed: $(nsenter --target "$leader" --all systemctl list-units --failed --plain --no-legend | cut -d ' ' -f 1 | xargs)"
    ;;
  *)
    nsenter --target "$leader" --all systemctl list-jobs --no-pager >&2 || true
    return 1
    ;;
  esac
}

# host_exec COMMAND… runs it inside as root, in a scope of the machine's systemd, and returns its status. When the
# machine is stopped the command has a second to end.
host_exec() {
  patiently nsenter --target "$leader" --all --wd=/proc/"$leader"/root/root \
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root USER=root LOGNAME=root SHELL=/bin/bash LANG=C.UTF-8 TERM="${TERM:-dumb}" \
    systemd-run --scope --quiet --collect --property=TimeoutStopSec=1s "$@"
}

# host_stop [SECONDS] shuts the machine down: cleanly if it does so within that time, or ten seconds. Otherwise it fails.
# shellcheck disable=SC2120 # tests/host gives it one
host_stop() {
  [[ -n ${nspawn:-} ]] || return 0
  local deadline=$((EPOCHSECONDS + ${1:-10})) status=0
  # SIGRTMIN+4 is systemd's poweroff.target; see systemd(1).
  [[ -z ${leader:-} ]] || kill -s RTMIN+4 "$leader" 2>/dev/null || true
  while [[ -n ${leader:-} ]] && kill -0 "$nspawn" 2>/dev/null; do
    [[ $EPOCHSECONDS -le $deadline ]] || { step "the host did not shut down within ${1:-10} s" && status=1 && break; }
    sleep 0.02
  done
  kill -KILL "$nspawn" 2>/dev/null || true
  wait "$nspawn" 2>/dev/null || true
  nspawn='' leader=''
  return "$status"
}

# host_cut cuts the machine's power; its disk stays as it is.
host_cut() {
  kill -KILL "$nspawn"
  wait "$nspawn" 2>/dev/null || true
  nspawn='' leader=''
}

# host_destroy stops the machine and all else that the script runs, and removes it. It fails if something stays.
host_destroy() {
  [[ -n ${machine:-} ]] || return 0
  local left=0
  # shellcheck disable=SC2119
  host_stop || true
  leave_cgroup || left=1
  remove_tree "$machine" || left=1
  [[ $left -eq 0 ]] || step "not all of $machine could be removed"
  return "$left"
}
