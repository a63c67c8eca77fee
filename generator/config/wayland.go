package config

import "slices"

var (
	waylandModes = []string{"context", "plain", "none"}
	// waypipe goes over the VM's vsock. Every other proxy goes over a GPU context of the cross-domain type.
	waylandProxies = []string{"wayland-proxy-virtwl", "sommelier", waypipe, "none"}
)

const waypipe = "waypipe"

func needsGPU(proxy string) bool { return proxy != waypipe && proxy != "none" }

// HasWayland tells whether the guest has a way to the user's compositor.
func (vm *VM) HasWayland() bool {
	return vm.Wayland != "none" && (vm.GPU || vm.WaylandProxy == waypipe)
}

// UsesWaypipe tells whether that way is waypipe's.
func (vm *VM) UsesWaypipe() bool { return vm.HasWayland() && vm.WaylandProxy == waypipe }

// checkWayland brings wayland, wayland_proxy and gpu together. What the VM's own file asks for in vain is an error, and what
// a default asks for is off.
func (d *decoder) checkWayland(vm *VM, own *Node) {
	asked := func(key string) *Node {
		// A value that is wrong has its error by now.
		if n := own.table[key]; n != nil && slices.Contains(append(waylandModes, waylandProxies...), n.text) && n.text != "none" {
			return n
		}
		return nil
	}
	if n := asked("wayland_proxy"); n != nil && needsGPU(n.text) && !vm.GPU && vm.WaylandProxy == n.text {
		d.errorf(n.key, `"waypipe" goes without`, "%q needs a GPU, and \"gpu\" is false", n.text)
	}
	if vm.Wayland == "none" || needsGPU(vm.WaylandProxy) && !vm.GPU {
		vm.WaylandProxy = "none"
	}
	if n := asked("wayland"); n != nil && !vm.HasWayland() && asked("wayland_proxy") == nil {
		d.errorf(n.key, `set wayland_proxy = "waypipe"`, "without a GPU the guest has no way to a compositor")
	}
}
