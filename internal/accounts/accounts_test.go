package accounts

import (
	"errors"
	"testing"
)

func TestLookUp(t *testing.T) {
	for _, key := range []string{"root", "0"} {
		if uid, gid, err := User(key); uid != 0 || gid != 0 || err != nil {
			t.Errorf("user %q: %d, %d, %v", key, uid, gid, err)
		}
		if gid, err := Group(key); gid != 0 || err != nil {
			t.Errorf("group %q: %d, %v", key, gid, err)
		}
	}
	if uid, _, err := User("daemon"); uid != 1 || err != nil {
		t.Errorf("user daemon: %d, %v", uid, err)
	}
	for _, key := range []string{"nobody-here", "--help", "", "4294967290"} {
		if _, _, err := User(key); !errors.Is(err, ErrUnknown) {
			t.Errorf("user %q: %v", key, err)
		}
		if _, err := Group(key); !errors.Is(err, ErrUnknown) {
			t.Errorf("group %q: %v", key, err)
		}
	}
}
