package main

import "time"

const (
	// tolerance is how far the clock may be off.
	tolerance = 500 * time.Millisecond
	// patience is in how many seconds running a clock must be ahead.
	patience = 8
)

// drift judges what single seconds show.
type drift struct {
	ahead int
	least time.Duration // of the seconds that were ahead
}

// add takes how far the clock is behind at the begin of a second, and returns by how much to set it, or 0. A clock
// that is behind is so for sure. One that is ahead may only have been looked at late, by a busy guest: it is believed
// when it stays so, and for the least of what it showed.
func (d *drift) add(behind time.Duration) time.Duration {
	if behind > tolerance {
		d.ahead = 0
		return behind
	}
	if behind >= -tolerance {
		d.ahead = 0
		return 0
	}
	if d.ahead == 0 || behind > d.least {
		d.least = behind
	}
	if d.ahead++; d.ahead < patience {
		return 0
	}
	d.ahead = 0
	return d.least
}
