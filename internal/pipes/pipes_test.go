package pipes

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEnlarge(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	Enlarge(r)
	if size, err := unix.FcntlInt(w.Fd(), unix.F_GETPIPE_SZ, 0); size != Size || err != nil {
		t.Errorf("%d bytes, error %v", size, err)
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	Enlarge(file)
	file.Close()
	Enlarge(file)
}
