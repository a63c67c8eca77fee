// Package listener takes the socket that systemd has made for a program.
package listener

import (
	"errors"
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
)

// FromSystemd returns the one Unix stream socket that systemd hands over: sd_listen_fds(3). The socket is systemd's, and
// stays when this process ends.
func FromSystemd() (*net.UnixListener, error) {
	listeners, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("taking the socket: %w", err)
	}
	if len(listeners) != 1 {
		return nil, fmt.Errorf("want one socket from systemd, got %d", len(listeners))
	}
	listener, ok := listeners[0].(*net.UnixListener)
	if !ok {
		return nil, errors.New("want a Unix stream socket from systemd")
	}
	listener.SetUnlinkOnClose(false)
	return listener, nil
}
