#!/bin/bash
# Run by tests/bench/run on the host that it boots. Both sides of each pair are run in turn, so that whatever else the
# machine does slows both.
set -euo pipefail
# shellcheck source=tests/lib/inside.sh
source /root/inside.sh

runs=31       # of a program that does nothing
cold_runs=3   # of it when nothing of vmsilo runs any more in host and guest
bulk_runs=5   # of bytes
mib=256       # of these; tests/bench/run sets it
bytes=$((mib << 20))
host=/run/vmsilo/bench/vsock/host.sock

configure() {
  cat <<'END'
id = 3
hypervisor = "qemu"
image = "with-ssh"
memory = "1G"
start_timeout = "300s"
kernel_params = ["mitigations=off"]

[network.interfaces.lan0]
host_address = "10.199.3.1/24"
addresses = ["10.199.3.2/24"]
END
}

# took COMMAND… prints how many microseconds it takes. It must succeed.
took() {
  local start=${EPOCHREALTIME/./}
  "$@" >/dev/null
  echo $((${EPOCHREALTIME/./} - start))
}

# over_ssh COMMAND… runs it in the guest by the connection that is there.
over_ssh() {
  ssh -o ControlPath=/run/ssh-bench -o BatchMode=yes user@10.199.3.2 "$@"
}

# log_in makes that connection.
log_in() {
  ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
  install -d -m 700 -o alice -g alice /shared/bench/.ssh
  install -m 600 -o alice -g alice /root/.ssh/id_ed25519.pub /shared/bench/.ssh/authorized_keys
  # The guest is READY before its ssh server listens.
  until ssh -f -N -o ControlMaster=yes -o ControlPath=/run/ssh-bench -o StrictHostKeyChecking=no -o LogLevel=QUIET \
    user@10.199.3.2; do
    sleep 1
  done
}

# raw SCRIPT runs shell whose standard input and output are a vsock connection to the guest's port 6000, and nothing else.
raw() {
  DO=$1 socat "UNIX-CONNECT:$host" EXEC:/run/raw,nofork
}

# listen has the guest send or take bytes there, straight from and to the socket.
listen() {
  vmsilo run bench sh -c "exec socat VSOCK-LISTEN:6000,reuseaddr,fork SYSTEM:'$1',nofork" &
  listener=$!
  sleep 3
}

# What is measured.
ours() { vmsilo run bench true; }
theirs() { over_ssh true; }
send_ours() { head -c "$bytes" /dev/zero | vmsilo run bench sh -c 'cat >/dev/null'; }
receive_ours() { vmsilo run bench head -c "$bytes" /dev/zero; }
send_raw() { raw "exec head -c $bytes /dev/zero"; }
receive_raw() { raw "exec cat >&3" 3>/dev/null; }

# sample FILE WHAT… runs them in turn, and adds a line with what each took.
sample() {
  local file=$1 what line=()
  for what in "${@:2}"; do line+=("$(took "$what")"); done
  echo "${line[*]}" >>"$file"
}

# median FILE COLUMN prints the median of a column.
median() {
  cut -d ' ' -f "$2" "$1" | sort -n | sed -n "$((($(wc --lines <"$1") + 1) / 2))p"
}

# beside_ssh prints what a program costs that does nothing.
beside_ssh() {
  local run
  ours && theirs
  for ((run = 1; run <= runs; run++)); do sample /run/warm ours theirs; done
  printf '%-42s %9s\n' '' 'ms'
  awk '{ printf "%-42s %9.1f\n%-42s %9.1f\n%-42s %9.2f\n", "vmsilo run bench true", $1 / 1000, "ssh bench true, with a control master", $2 / 1000, "  ratio", $1 / $2 }' \
    <<<"$(median /run/warm 1) $(median /run/warm 2)"
}

# beside_raw DIRECTION SCRIPT prints the throughput of send or receive; the guest's side of the raw socket is the script.
beside_raw() {
  local run
  listen "$2"
  for ((run = 1; run <= bulk_runs; run++)); do sample "/run/$1" "$1_ours" "$1_raw"; done
  kill "$listener"
  wait "$listener" || true
  awk -v what="$1" -v mib="$mib" '{ printf "%-42s %9.1f\n%-42s %9.1f\n%-42s %9.2f\n", what ", vmsilo run: MiB/s", mib * 1e6 / $1, what ", raw vsock: MiB/s", mib * 1e6 / $2, "  ratio", $2 / $1 }' \
    <<<"$(median "/run/$1" 1) $(median "/run/$1" 2)"
}

# after_a_rest prints what the first program costs.
after_a_rest() {
  local run
  for ((run = 1; run <= cold_runs; run++)); do
    sleep 25
    sample /run/cold ours
  done
  awk '{ printf "%-42s %9.1f\n", "vmsilo run bench true, after 25 s of rest", $1 / 1000 }' <<<"$(median /run/cold 1)"
}

main() {
  install -d -m 700 /root/.ssh
  # shellcheck disable=SC2016 # for that shell
  printf '#!/bin/sh\necho CONNECT 6000\nread -r answer\neval "$DO"\n' >/run/raw
  chmod +x /run/raw
  configure >/etc/vmsilo/bench.toml
  systemctl daemon-reload
  systemctl start vmsilo@bench vmsilo-run@bench.socket
  log_in
  echo "$(nproc) CPUs, Linux $(uname -r), $(qemu-system-x86_64 --version | head -n 1); load: $(cut -d ' ' -f 1-3 /proc/loadavg)"
  echo "Emulated: 2 CPUs; medians of $runs, $bulk_runs and $cold_runs runs, in turn; $mib MiB each way"
  echo
  # A program that stays keeps the broker and the agent: what their starts take is measured after a rest.
  vmsilo run bench sleep infinity &
  stays=$!
  beside_ssh
  beside_raw send 'exec cat >/dev/null'
  beside_raw receive "exec head -c $bytes /dev/zero"
  kill "$stays"
  wait "$stays" || true
  after_a_rest
  systemctl stop vmsilo@bench
}

main
