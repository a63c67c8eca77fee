package main

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestCarried(t *testing.T) {
	args := []string{
		"-name", "guest=a,tap", "-netdev", "tap,id=net22,ifname=a-22,queues=2", "-device", "virtio-net-pci,netdev=net22",
		"-netdev", "tap,id=net23,ifname=a-23", "-netdev", "user,id=mine", "-netdev", "tap,id=mine2,vhost=off", "-netdev",
	}
	given := slices.Clone(args)
	want := slices.Clone(args)
	want[3] += ",vhost=on"
	want[7] += ",vhost=on"
	// A device that opens stands for the kernel's.
	if got := carried(args, "/dev/null"); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for _, device := range []string{filepath.Join(t.TempDir(), "absent"), "/"} {
		if got := carried(args, device); !slices.Equal(got, given) {
			t.Errorf("%s: %q", device, got)
		}
	}
	if !slices.Equal(args, given) {
		t.Errorf("the arguments have changed: %q", args)
	}
}
