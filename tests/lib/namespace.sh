# shellcheck shell=bash
# A place of its own for the script: mounts that nobody else sees, a cgroup that all of its processes are in.
# The mounts end with the script, even when it is killed. Sourced; uses say.sh.

# own_mounts ARGUMENT… starts the script again with these arguments and its own mounts, unless it has them.
own_mounts() {
  [[ ${VMSILO_TESTS_MOUNTS:-} != "$$" ]] || return 0
  export VMSILO_TESTS_MOUNTS=$$ # exec keeps the process, so no other script takes it for its own
  if unshare --mount true 2>/dev/null; then
    exec unshare --mount bash "$0" "$@"
  fi
  # In a chroot / is no mount: its propagation cannot be changed and systemd-nspawn cannot pivot away from it.
  # Entering the mount namespace that one is in already leads to its real root, where both can be put right.
  export -f chroot_pivot chroot_go_on
  # shellcheck disable=SC2016
  exec unshare --mount --propagation unchanged bash -euc '
    nsenter --mount=/proc/$$/ns/mnt bash -euc "chroot_pivot $$"
    exec nsenter --mount=/proc/$$/ns/mnt bash -euc "chroot_go_on \"\$@\"" bash "$@"' bash "$PWD" "$0" "$@"
}

# chroot_pivot PID makes the chroot of that process the root of the mount namespace, with the old one at /mnt of it.
chroot_pivot() {
  mount --make-rprivate /
  cd "$(readlink "/proc/$1/root")" || return
  mount --rbind . .
  cd "$PWD" || return # into the mount
  pivot_root . mnt
}

# chroot_go_on DIRECTORY SCRIPT ARGUMENT… runs the script in the new root.
chroot_go_on() {
  umount --lazy /mnt
  cd "$1" || return
  exec bash "${@:2}"
}

# own_cgroup NAME moves the script to a cgroup, so that whatever it leaves can be found. The path is left in $cgroup.
own_cgroup() {
  [[ $(stat -f -c %T /sys/fs/cgroup 2>/dev/null) == cgroup2fs ]] ||
    mount -t cgroup2 cgroup2 /sys/fs/cgroup ||
    die "no cgroup2 at /sys/fs/cgroup" "mount sysfs at /sys"
  cgroup_before=$(sed -n 's/^0:://p' /proc/self/cgroup)
  [[ $cgroup_before != /..* ]] || cgroup_before=/
  cgroup=/sys/fs/cgroup/$1
  # The script is in a leaf, as systemd-nspawn hands controllers to its children where it can.
  mkdir -p "$cgroup/script" "$cgroup/host"
  echo $$ >"$cgroup/script/cgroup.procs"
}

# cgroup_remove PATH kills every process of it and removes it.
cgroup_remove() {
  [[ -d $1 ]] || return 0
  local try
  for try in {1..100}; do
    find "$1" -name cgroup.procs -exec xargs --no-run-if-empty --arg-file={} kill -KILL \; 2>/dev/null || true
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
    [[ -d $1 ]] || return 0
    sleep 0.02
  done
  step "$1 is still there after $try tries"
  return 1
}

# leave_cgroup moves the script back to where it was and removes its cgroup.
leave_cgroup() {
  [[ -n ${cgroup:-} ]] || return 0
  echo $$ >"/sys/fs/cgroup$cgroup_before/cgroup.procs"
  cgroup_remove "$cgroup"
}

# remove_tree DIRECTORY unmounts what is mounted below it, and removes it.
remove_tree() {
  local target
  while read -r target; do
    umount "$target" || umount --lazy "$target" || return 1 # then it is not safe to remove
  done < <(findmnt --noheadings --raw --output TARGET | grep -F "$1/" | tac)
  rm -rf --one-file-system "$1"
}
