// Package console carries clients to a guest's console.
package console

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// patience is how long a client may take nothing of what the guest says. The guest waits meanwhile.
const patience = time.Second

// Carry carries clients to the port, one after the other, until the port ends, and then closes the listener. What the guest
// says while nobody is connected is lost.
func Carry(clients net.Listener, port io.ReadWriter) {
	defer clients.Close()
	var attached atomic.Pointer[net.Conn]
	go func() {
		for {
			client, err := clients.Accept()
			if err != nil {
				return
			}
			attached.Store(&client)
			_, _ = io.Copy(port, client)
			attached.Store(nil)
			client.Close()
		}
	}()
	said := make([]byte, 4096)
	for {
		n, err := port.Read(said)
		if err != nil {
			return
		}
		if client := attached.Load(); client != nil && !take(*client, said[:n]) {
			(*client).Close()
		}
	}
}

// take tells whether the client has taken all of what the guest says.
func take(client net.Conn, said []byte) bool {
	if client.SetWriteDeadline(time.Now().Add(patience)) != nil {
		return false
	}
	_, err := client.Write(said)
	return err == nil
}
