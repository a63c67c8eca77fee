package main

import (
	"testing"
	"time"
)

func TestOff(t *testing.T) {
	const ms = time.Millisecond
	chip := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct{ before, after, want time.Duration }{
		"at the begin of the second":      {0, 0, 0},
		"at its end":                      {999 * ms, 999 * ms, 0},
		"a little behind":                 {-250 * ms, -250 * ms, 0},
		"behind":                          {-251 * ms, -251 * ms, 751 * ms},
		"a minute behind":                 {-60 * time.Second, -60*time.Second + ms, 60*time.Second + 500*ms - ms/2},
		"a little ahead":                  {1250 * ms, 1250 * ms, 0},
		"ahead":                           {1251 * ms, 1251 * ms, -751 * ms},
		"read late, and perhaps right":    {-100 * ms, 5 * time.Second, 0},
		"read over a pause, and now late": {-60 * time.Second, 100 * ms, 0},
	} {
		r := reading{before: chip.Add(c.before), chip: chip, after: chip.Add(c.after)}
		if got := r.off(); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
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
