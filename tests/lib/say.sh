# shellcheck shell=bash
# Messages of the scripts in tests/. Sourced; everything goes to standard error.

# step WHAT… tells the person what goes on, in one line.
step() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# die MESSAGE [HINT] says what is wrong and what to do about it, and ends the script.
die() {
  printf 'tests/%s: error: %s\n' "${0##*/}" "$1" >&2
  [[ -z ${2:-} ]] || printf 'tests/%s: hint: %s\n' "${0##*/}" "$2" >&2
  exit 1
}

# now prints the time in milliseconds; seconds_since gives the difference as "1.3 s".
now() {
  printf '%s\n' $((${EPOCHREALTIME/[.,]/} / 1000))
}

seconds_since() {
  local ms=$(($(now) - $1))
  printf '%d.%d s\n' $((ms / 1000)) $((ms % 1000 / 100))
}
