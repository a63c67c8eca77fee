// Vmsilo-clock keeps the guest's wall clock at the host's time.
//
// Synopsis:
//
//	vmsilo-clock
//
// A VM that was paused goes on with the time at which it stopped; nobody tells it. But its clock chip, /dev/rtc0, shows
// the host's time throughout. So vmsilo-clock looks at the chip twice a second, and when the clock is off for sure it sets
// it: at once to the half of the second that the chip shows, and then to the point at which the chip's second changes.
// Differences that a chip of whole seconds cannot show are left alone: where the host has something more exact, chrony
// uses that.
//
// The chip's interrupt at each second would tell sooner. But not every VMM has it, and where there is an HPET, Linux makes
// it from 64 interrupts a second, which costs more than a hundred times what looking does.
//
// The chip keeps UTC.
package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

const (
	device = "/dev/rtc0"
	// interval is the longest that a clock is wrong after a pause.
	interval = 500 * time.Millisecond
)

func main() {
	command.Main(func([]string) error { return run(device) })
}

func run(device string) error {
	rtc, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", device, err)
	}
	defer unix.Close(rtc)
	for {
		r, err := read(rtc)
		if err != nil {
			return fmt.Errorf("reading %s: %w", device, err)
		}
		if off := r.off(); off != 0 {
			if err := correct(rtc, off); err != nil {
				return fmt.Errorf("setting the clock: %w", err)
			}
			fmt.Printf("the clock was %.1f s %s the host's, and is set\n", off.Abs().Seconds(), side(off))
		}
		time.Sleep(interval)
	}
}

// side names the side of the host's time that a clock is on when off has to be added to it.
func side(off time.Duration) string {
	if off < 0 {
		return "ahead of"
	}
	return "behind"
}

// correct sets the clock by what is known already, and then by what the chip shows in the next second.
func correct(rtc int, off time.Duration) error {
	if err := step(off); err != nil {
		return err
	}
	off, err := edge(rtc)
	if err != nil {
		return err
	}
	return step(off)
}

// edge waits for a second of the chip to begin and returns how far the clock is behind it.
func edge(rtc int) (time.Duration, error) {
	last, err := read(rtc)
	for err == nil {
		var next reading
		time.Sleep(5 * time.Millisecond)
		if next, err = read(rtc); err != nil {
			break
		}
		// A guest so busy that it missed the moment waits for the next.
		if !next.chip.Equal(last.chip) && next.after.Sub(last.before) < interval/5 {
			return next.chip.Sub(next.after), nil
		}
		last = next
	}
	return 0, err
}

// step moves the clock.
func step(by time.Duration) error {
	ts, err := unix.TimeToTimespec(time.Now().Add(by))
	if err != nil {
		return err
	}
	return unix.ClockSettime(unix.CLOCK_REALTIME, &ts)
}
