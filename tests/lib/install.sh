# shellcheck shell=bash disable=SC2154,SC2034 # variables of the files that it names below
# Building vmsilo and installing it into a machine. Sourced; uses cache.sh, process.sh.

# build_and_stage CHECKOUT STAGE builds the checkout and installs it below the directory STAGE.
# The build directory is in the cache, so that the checkout stays as it is.
build_and_stage() {
  local build start
  start=$(now)
  build=$cache/build-$(key <<<"$1")
  mkdir -p "$cache"
  exec 7>"$build.lock"
  flock -n 7 || { step "vmsilo: waiting for another run that builds it" && flock 7; }
  [[ -f $build/build.ninja ]] || logged "meson setup failed" meson setup "$build" "$1"
  logged "meson compile failed" meson compile -C "$build"
  logged "meson install failed" meson install -C "$build" --quiet --no-rebuild --destdir "$2"
  exec 7>&-
  step "vmsilo: built in $(seconds_since "$start")"
}

# install_stage STAGE ROOT installs what is staged. A directory of the stage may be a symlink in the root
# (/lib, as Debian 12's systemd.pc names it) and then stays one.
install_stage() {
  tar -C "$1" -c . | tar -C "$2" -x --keep-directory-symlink --no-overwrite-dir
  chroot "$2" systemd-sysusers 2>&1 | { grep -v "^Creating" >&2 || true; }
}

# install_program NAME ROOT installs a program of this machine's PATH, and the libraries that it needs and the root lacks.
install_program() {
  local program library
  program=$(command -v "$1") || die "no program \"$1\" in PATH"
  install "$program" "$2/usr/local/bin/$1"
  for library in $(ldd "$program" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p'); do
    [[ -e $2$library ]] || install --mode=644 "$library" "$2/usr/local/lib/"
  done
  chroot "$2" ldconfig
}

# sound_device ROOT installs vhost-device-sound, which no release of Debian has, in a root of Debian 13.
sound_device() {
  local key
  key=$(declare -f build_sound_device | key)
  cached program-vhost-device-sound "$key" 11 build_sound_device
  install "$cached/vhost-device-sound" "$1/usr/local/bin/"
}

# build_sound_device DIRECTORY builds it there, with Debian's compiler and libraries, of the crates that its own lock file names.
build_sound_device() {
  # shellcheck disable=SC2016 # expanded by the shell that mmdebstrap runs the hook in
  logged "vhost-device-sound could not be built" mmdebstrap --mode=root --variant=minbase --format=null \
    --include=cargo,libclang-dev,libpipewire-0.3-dev,pkgconf,ca-certificates \
    --customize-hook='upload /etc/resolv.conf /etc/resolv.conf' \
    --customize-hook='upload /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt' \
    --customize-hook='chroot "$1" env CARGO_PROFILE_RELEASE_OPT_LEVEL=1 cargo install --quiet --locked --root=/usr/local --no-default-features --features=pw-backend vhost-device-sound@0.3.0' \
    --customize-hook="download /usr/local/bin/vhost-device-sound $1/vhost-device-sound" trixie
}

# guest_image CHECKOUT RECIPE FD leaves the folder of a guest image in $image, held by the file descriptor FD. The
# machine has vmsilo by now. The recipe is one of vmsilo's, or with-ssh: what the benchmark of vmsilo run compares with.
guest_image() {
  local key
  key=$(cd "$1" && { find guest internal vmsilo go.mod go.sum -type f -print0 | sort -z | xargs -0 sha256sum && root_packages trixie; } | key)
  cached "image-$2" "$key" "$3" image_recipe "$2"
  image=$cached/$2
}

# image_recipe RECIPE DIRECTORY makes the image with the vmsilo of the machine, in the way that people do. DIRECTORY is
# the machine's folder of images.
image_recipe() {
  local recipe=$1
  chmod 755 "$2"
  if [[ $1 == with-ssh ]]; then
    recipe=/root/with-ssh.toml
    sed 's/^packages = \[$/&\n  "openssh-server", "socat",/' "$machine/root/usr/share/vmsilo/recipes/debian-13.toml" >"$machine/root$recipe"
  fi
  before_boot "vmsilo could not make the image" --bind="$2":/var/lib/vmsilo/images vmsilo image build "$1" --recipe="$recipe"
}

# before_boot MESSAGE ARGUMENT… runs a command on the machine, which has not booted but has this one's network. The
# arguments are systemd-nspawn's, the message is for when it fails.
before_boot() {
  local options=() variable
  for variable in http_proxy https_proxy no_proxy; do
    [[ -z ${!variable:-} ]] || options+=("--setenv=$variable=${!variable}")
  done
  logged "$1" systemd-nspawn --quiet --keep-unit --register=no --directory="$machine/root" \
    --machine="${machine##*/}" --resolv-conf=off --bind-ro=/etc/resolv.conf --timezone=off --link-journal=no --capability=all \
    --console=pipe "${options[@]}" "${@:2}" </dev/null
  # The mount point that systemd-nspawn has made.
  rm -f "$machine/root/etc/resolv.conf"
}

# image_by_hand CHECKOUT FD leaves the folder of the image in $image that tests/bench/guest-boot compares with.
image_by_hand() {
  local key script=$1/tests/bench/image-by-hand recipe=$1/guest/image/recipes/debian-13.toml
  key=$({ cat "$script" "$recipe" && root_packages trixie; } | key)
  cached image-by-hand "$key" "$2" by_hand "$script" "$recipe"
  image=$cached/by-hand
}

# by_hand SCRIPT RECIPE DIRECTORY makes that image of the recipe's packages.
by_hand() {
  local packages
  packages=$(sed -n '/^packages = \[/,/^\]/{s/#.*//;p}' "$2" | grep -o '"[^"]*"' | tr -d '"' | paste -sd,)
  before_boot "the image to compare with could not be made" --bind="$3":/images --bind-ro="$1":/image-by-hand \
    /image-by-hand /images/by-hand "$packages"
  rm -rf "${machine:?}/root/images" "$machine/root/image-by-hand"
}
