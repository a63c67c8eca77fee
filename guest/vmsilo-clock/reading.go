package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// reading is one look at the chip, between two at the clock.
type reading struct {
	before, chip, after time.Time
}

func read(rtc int) (reading, error) {
	r := reading{before: time.Now()}
	t, err := unix.IoctlGetRTCTime(rtc)
	r.after = time.Now()
	if err != nil {
		return reading{}, err
	}
	r.chip = time.Date(int(t.Year)+1900, time.Month(t.Mon+1), int(t.Mday), int(t.Hour), int(t.Min), int(t.Sec), 0, time.UTC)
	return r, nil
}

// tolerance is how far the clock may be off.
const tolerance = 250 * time.Millisecond

// off returns how far the clock is behind the chip, as well as this look can tell, or 0 if it may be right. The chip's
// second began at r.chip and lasts for another one, and it was read at some time from before to after: a guest that was
// too busy to be quick in between never takes that for a wrong clock.
func (r reading) off() time.Duration {
	least, most := r.chip.Sub(r.after), r.chip.Add(time.Second).Sub(r.before)
	if least <= tolerance && most >= -tolerance {
		return 0
	}
	return (least + most) / 2
}
