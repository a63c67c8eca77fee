# shellcheck shell=bash
# Running things so that a signal to the script ends them at once. Sourced; uses say.sh.

# patiently COMMAND… runs it in the background and waits for it, as bash handles no signal while it waits for
# a command in the foreground. It may read standard input. What is left of it dies with the script's cgroup.
patiently() {
  local status=0
  # A shell without job control makes its background ignore SIGINT: undone, for what COMMAND starts.
  # The descriptors of locks are closed: dash, which mmdebstrap needs, knows none above 9.
  env --default-signal=INT,QUIT "$@" <&0 6>&- 7>&- 8>&- 9>&- 10>&- 11>&- &
  wait $! || status=$?
  return "$status"
}

# logged MESSAGE COMMAND… runs it, and shows the end of what it said if it fails.
logged() {
  local log message=$1
  shift
  log=$(mktemp "${machine:-${TMPDIR:-/tmp}}/log.XXXXXX")
  patiently "$@" >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    rm -f "$log"
    die "$message"
  }
  rm -f "$log"
}
