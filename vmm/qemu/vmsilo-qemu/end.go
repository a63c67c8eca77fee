package main

import (
	"bufio"
	"encoding/json"
	"io"

	"vmsilo/internal/runvmm"
)

// control makes QEMU's file descriptor 3 a control connection.
var control = []string{"-chardev", "socket,id=end,fd=3", "-mon", "chardev=end,mode=control"}

// listen reads what QEMU says on a control connection of its own until it closes that, and returns how the guest has
// ended: a ShutdownCause of QEMU's qapi/run-state.json says so.
func listen(qmp io.ReadWriter, _ func()) runvmm.End {
	// There are no events before this. An error shows in what is read.
	_, _ = io.WriteString(qmp, `{"execute": "qmp_capabilities"}`+"\n")
	end := runvmm.Unsaid
	for lines := bufio.NewScanner(qmp); lines.Scan(); {
		var said struct {
			Event string
			Data  struct{ Reason string }
		}
		if json.Unmarshal(lines.Bytes(), &said) != nil || said.Event != "SHUTDOWN" {
			continue
		}
		switch said.Data.Reason {
		case "guest-reset":
			end = runvmm.Reset
		case "guest-panic":
			end = runvmm.Panic
		default:
			end = runvmm.Unsaid
		}
	}
	return end
}
