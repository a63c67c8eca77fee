package control

import (
	"errors"
	"testing"
)

// A VM whose VMM has no socket cannot be asked.
func TestNone(t *testing.T) {
	if _, err := In(t.TempDir()); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}
