package main

import (
	"testing"
	"time"
)

func TestDrift(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct{ seconds, want []time.Duration }{
		"small differences are left":  {[]time.Duration{0, 500 * ms, -500 * ms, 3 * ms}, []time.Duration{0, 0, 0, 0}},
		"behind: at once, every time": {[]time.Duration{60000 * ms, 0, 501 * ms}, []time.Duration{60000 * ms, 0, 501 * ms}},
		"looked at late":              {[]time.Duration{-900 * ms, -900 * ms, 0, -900 * ms, -900 * ms, -900 * ms, -900 * ms, -900 * ms, -900 * ms, 0}, make([]time.Duration, 10)},
		"ahead: the least of eight": {
			[]time.Duration{-3900 * ms, -3100 * ms, -3000 * ms, -3050 * ms, -3900 * ms, -3900 * ms, -3900 * ms, -3900 * ms, 0},
			[]time.Duration{0, 0, 0, 0, 0, 0, 0, -3000 * ms, 0},
		},
	} {
		var d drift
		for i, s := range c.seconds {
			if got := d.add(s); got != c.want[i] {
				t.Errorf("%s: second %d: got %v, want %v", name, i, got, c.want[i])
			}
		}
	}
}

func TestRunWithoutClock(t *testing.T) {
	for _, device := range []string{"/nowhere", "/dev/null"} {
		if err := run(device); err == nil {
			t.Errorf("%s passes for a clock", device)
		}
	}
}
