package socket_test

import (
	"testing"

	"vmsilo/vmm/control/controltest"
	"vmsilo/vmm/crosvm/socket"
)

var crosvm = controltest.Socket{Network: "unixpacket", Name: socket.Name}

// crosvm's VmResponse.
func TestCrosvm(t *testing.T) {
	for answer, want := range map[string]string{
		`"Ok"`:                  "",
		`{"Err":16}`:            "device or resource busy",
		`{"Err":107}`:           "the VM has no balloon, or its guest does not use it",
		`{"ErrString":"later"}`: "later",
		`{"BalloonStats":{}}`:   `it answers "{\"BalloonStats\":{}}"`,
		`nonsense`:              `it answers "nonsense"`,
	} {
		var heard string
		v := crosvm.VMM(t, func(said string) string {
			heard = said
			return answer
		})
		controltest.Wants(t, answer, v.Balloon(3<<20), want)
		if heard != `{"BalloonCommand":{"Adjust":{"num_bytes":3145728,"wait_for_success":false}}}` {
			t.Errorf("heard %s", heard)
		}
	}
}
