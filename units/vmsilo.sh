# shellcheck shell=sh
# Has a session find the menus of the VMs that are the user's, unless systemd's user manager has done so.
vmsilo_menus=/var/lib/vmsilo/.menus/$(id -u)
case ":$XDG_DATA_DIRS:" in
*":$vmsilo_menus/share:"*) ;;
*)
  export XDG_DATA_DIRS="${XDG_DATA_DIRS:-/usr/local/share:/usr/share}:$vmsilo_menus/share"
  export XDG_CONFIG_DIRS="${XDG_CONFIG_DIRS:-/etc/xdg}:$vmsilo_menus/xdg"
  ;;
esac
unset vmsilo_menus
