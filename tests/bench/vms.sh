# shellcheck shell=bash
# The VMs that the benchmarks measure with, and containers that say as much. Sourced.

# What a VM shares: its home, and a folder besides. A container has a volume for each.
shares=(home docs)
interfaces=(lan0 wan0)

# write_vms COUNT FOLDER writes vm1.toml … for vmsilo-generator.
write_vms() {
  local i
  for ((i = 1; i <= $1; i++)); do
    {
      printf 'id = %d\nhypervisor = "qemu"\nmemory = "1G"\ndescription = "number %d"\n' $((i + 2)) "$i"
      write_interfaces "$i" '\n[network.interfaces.%s]\nhost_address = "%s/30"\n'
      printf '\n[shared_directories.docs]\nsource = "/srv/docs"\ntarget = "/home/user/docs"\n'
    } >"$2/vm$i.toml"
  done
}

# write_containers COUNT FOLDER writes vm1.container … for quadlet.
write_containers() {
  local i
  for ((i = 1; i <= $1; i++)); do
    {
      printf '[Unit]\nDescription=number %d\n\n[Container]\nContainerName=vm%d\n' "$i" "$i"
      printf 'Image=registry.example/default:1\nPodmanArgs=--memory=1g --cpus=2\nVolume=/shared/vm%d:/home/user\n' "$i"
      printf 'Volume=/srv/docs:/home/user/docs\n'
      write_interfaces "$i" 'Network=%s:ip=%s\n'
    } >"$2/vm$i.container"
  done
}

# write_interfaces NUMBER FORMAT prints FORMAT for each interface, with an address in a /30 that is nobody else's.
write_interfaces() {
  local j address
  for j in "${!interfaces[@]}"; do
    address=$((4 * ($1 * ${#interfaces[@]} + j)))
    # shellcheck disable=SC2059 # the format is the caller's
    printf "$2" "${interfaces[j]}" "10.200.$((address >> 8)).$(((address & 255) + 1))"
  done
}

# vm_units COUNT prints the units that COUNT VMs have, one a line.
vm_units() {
  local i x
  for ((i = 1; i <= $1; i++)); do
    printf "vmsilo%s\n" {,-user,-disk,-vsock,-notify}"@vm$i.service" "-notify@vm$i.socket" "-vm$i.slice"
    for x in "${interfaces[@]}"; do printf 'vmsilo-netdev@vm%d:%s.service\n' "$i" "$x"; done
    for x in "${shares[@]}"; do printf 'vmsilo-share@vm%d:%s.%s\n' "$i" "$x" socket "$i" "$x" service; done
  done
}
