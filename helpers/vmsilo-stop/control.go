package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// answerTime is how long a VMM may take to answer a request.
const answerTime = 3 * time.Second

// request is what every VMM can be asked for through its control socket.
type request int

const (
	powerButton request = iota
	quit
)

// vmms are the VMMs, each with the name of its control socket, its protocol, and the requests in that.
var vmms = []struct {
	socket string
	send   func(path, text string) error
	texts  map[request]string
}{
	{"qmp.sock", qmpExecute, map[request]string{powerButton: "system_powerdown", quit: "quit"}},
	{"crosvm.sock", crosvmSend, map[request]string{powerButton: `"Powerbtn"`, quit: `"Exit"`}},
	{"cloud-hypervisor.sock", cloudHypervisorPut, map[request]string{powerButton: "vm.power-button", quit: "vmm.shutdown"}},
}

// errNoControl is wrapped by the error for a VMM that cannot be asked for anything.
var errNoControl = errors.New("no VMM has a control socket")

// askVMM sends the request to the VMM that has put its control socket into folder.
func askVMM(folder string, r request) error {
	for _, v := range vmms {
		path := filepath.Join(folder, v.socket)
		if err := unix.Access(path, unix.F_OK); err == nil {
			return v.send(path, v.texts[r])
		}
	}
	return fmt.Errorf("%w in %q", errNoControl, folder)
}
