// Package peer tells who is on the other side of a connection.
package peer

import "golang.org/x/sys/unix"

// Host tells whether an address is the host's, or of a family other than vsock(7): over vsock's loopback, anything in the
// guest could connect.
func Host(address unix.Sockaddr) bool {
	vm, isVsock := address.(*unix.SockaddrVM)
	return !isVsock || vm.CID == unix.VMADDR_CID_HOST
}
