# shellcheck shell=bash disable=SC2154 # variables of the files that it names below
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

# guest_image CHECKOUT STAGE leaves the folder of a guest image in $image, or nothing if the checkout makes none.
guest_image() {
  local key
  image=${VMSILO_IMAGE:-}
  if [[ -n $image ]]; then
    [[ -f $image/root.erofs ]] || die "VMSILO_IMAGE: no root.erofs in \"$image\""
    step "image: $image"
  elif [[ -x $1/guest/image/build ]]; then
    key=$(cd "$1" && find guest internal go.mod go.sum -type f -print0 | sort -z | xargs -0 sha256sum | key)
    cached image "$key" 7 image_recipe "$1" "$2/usr/share/vmsilo/guest"
    image=$cached/image
  fi
}

# image_recipe CHECKOUT TREE DIRECTORY makes the image in a folder of its own there: what the recipe leaves beside its
# output when it is killed must be in DIRECTORY, too.
image_recipe() {
  logged "guest/image/build failed" "$1/guest/image/build" --guest-tree "$2" "$3/image"
}
