package main

import (
	"slices"
	"testing"
)

func TestCommandIsTheSameEachTime(t *testing.T) {
	first := virtiofsd("/usr/libexec/virtiofsd", "/shared/a b", 1001, 1002)
	for range 20 {
		if again := virtiofsd("/usr/libexec/virtiofsd", "/shared/a b", 1001, 1002); !slices.Equal(first, again) {
			t.Fatalf("got %q, then %q", first, again)
		}
	}
	if !slices.Contains(first, "--shared-dir=/shared/a b") {
		t.Errorf("%q does not share the folder", first)
	}
}
