// Vmsilo-clock keeps the guest's wall clock at the host's time.
//
// Synopsis:
//
//	vmsilo-clock
//
// A VM that was paused goes on with the time at which it stopped; nobody tells it. But its clock chip,
// /dev/rtc0, shows the host's time throughout, and interrupts at the begin of each second: at once when the VM goes on
// again. So vmsilo-clock sleeps until the next interrupt, compares, and sets the clock when it is off by more than half
// a second. Smaller differences are left alone: where the host has something more exact, chrony uses that.
//
// The chip keeps UTC.
package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"vmsilo/internal/command"
)

const device = "/dev/rtc0"

func main() {
	command.Main(func([]string) error { return run(device) })
}

func run(device string) error {
	rtc, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", device, err)
	}
	defer unix.Close(rtc)
	if err := unix.IoctlSetInt(rtc, unix.RTC_UIE_ON, 0); err != nil {
		return fmt.Errorf("asking %s for an interrupt each second: %w", device, err)
	}
	var d drift
	for {
		behind, err := second(rtc)
		if err != nil {
			return fmt.Errorf("reading %s: %w", device, err)
		}
		if step := d.add(behind); step != 0 {
			if err := set(step); err != nil {
				return fmt.Errorf("setting the clock: %w", err)
			}
			fmt.Printf("the clock was %.1f s off the host's, and is set\n", step.Seconds())
		}
	}
}

// second waits for the begin of a second and returns how far the clock is behind it.
func second(rtc int) (time.Duration, error) {
	var count [8]byte
	if _, err := unix.Read(rtc, count[:]); err != nil {
		return 0, err
	}
	now := time.Now()
	t, err := unix.IoctlGetRTCTime(rtc)
	if err != nil {
		return 0, err
	}
	chip := time.Date(int(t.Year)+1900, time.Month(t.Mon+1), int(t.Mday), int(t.Hour), int(t.Min), int(t.Sec), 0, time.UTC)
	return chip.Sub(now), nil
}

// set moves the clock.
func set(step time.Duration) error {
	ts, err := unix.TimeToTimespec(time.Now().Add(step))
	if err != nil {
		return err
	}
	return unix.ClockSettime(unix.CLOCK_REALTIME, &ts)
}
