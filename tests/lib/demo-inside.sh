#!/bin/bash
# The part of tests/demo that runs on the throw-away host. Ends with status 1 at the first step that fails.
set -euo pipefail
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh
begin=${EPOCHREALTIME/./}

# step WHAT COMMAND… runs a step and prints what it says, and how long it took.
step() {
  local what=$1 out start=${EPOCHREALTIME/./}
  shift
  if ! out=$("$@" 2>&1); then
    printf '%s\n' "$out" | sed 's/^/    /'
    printf 'demo: failed: %s\n' "$what"
    journalctl --boot --no-pager --output=short-monotonic --lines=60 | sed 's/^/    /'
    exit 1
  fi
  printf 'demo: [%6d ms] %s\n' $(((${EPOCHREALTIME/./} - start) / 1000)) "$what"
  [[ -z $out ]] || printf '%s\n' "$out" | sed 's/^/    /'
}

# units prints what systemd pulls in with the VM, but for what every service has.
units() {
  systemctl list-dependencies --no-pager vmsilo@demo | grep vmsilo
}

# short COMMAND… cuts lines that no terminal would show.
short() {
  "$@" | cut --characters=1-150
}

start() {
  logger --tag demo "systemctl start vmsilo@demo"
  systemctl start vmsilo@demo
}

# stamp IDENTIFIER TEXT prints the journal's monotonic time of a message, in microseconds.
stamp() {
  journalctl --boot --identifier="$1" --grep="$2" --output=json | jq --raw-output .__MONOTONIC_TIMESTAMP | tail -n 1
}

# to_vmm prints the time from the command to the exec of QEMU itself, after all that its wrapper waits for.
to_vmm() {
  echo "$((($(stamp vmsilo-qemu '^starting ') - $(stamp demo '^systemctl start')) / 1000)) ms from systemctl start to the exec of the VMM"
}

# words asks the guest on its console.
words() {
  # shellcheck disable=SC2016 # for the guest
  guest demo '
    echo "hostname:    $(hostname)"
    echo "interfaces:  $(ls /sys/class/net | xargs)"
    echo "/:           $(findmnt --noheadings --output SOURCE,FSTYPE / | xargs)"
    echo "/home/user:  $(findmnt --noheadings --output SOURCE,FSTYPE /home/user | xargs)"
    echo "the word:    $(grep -o "demo.nonce=[^ ]*" /proc/cmdline)"'
}

# check_words looks for what the VM's file asks for in what the guest said.
check_words() {
  local nonce
  nonce=$(grep -o 'demo.nonce=[0-9a-f]*' /etc/vmsilo/demo.toml)
  holds "$(words)" "hostname:    demo" lan0 overlay "home virtiofs" "$nonce"
}

step "the units of the VM" units
step "systemctl start vmsilo@demo: the guest is up" start
step "how long the host took of that" to_vmm
step "the guest's own words, over its console" words
step "they are what the file asks for" check_words
step "systemctl status vmsilo@demo" short systemctl status --no-pager --lines=5 vmsilo@demo
step "what runs, in the VM's slice" systemd-cgls --no-pager --unit vmsilo-demo.slice
step "systemctl stop vmsilo@demo" systemctl stop vmsilo@demo
step "nothing stayed: no TAP, process, socket, mount, disk or user" nothing_left
printf 'demo: %d s in all on the host\n' $(((${EPOCHREALTIME/./} - begin) / 1000000))
