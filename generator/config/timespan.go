package config

import (
	"strconv"
	"strings"
	"time"
)

// timeUnits are the units of systemd.time(7); a month and a year have its lengths.
var timeUnits = map[string]time.Duration{
	"": time.Second, "s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second,
	"us": time.Microsecond, "usec": time.Microsecond, "µs": time.Microsecond,
	"ms": time.Millisecond, "msec": time.Millisecond,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
	"w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour, "weeks": 7 * 24 * time.Hour,
	"M": 2629800 * time.Second, "month": 2629800 * time.Second, "months": 2629800 * time.Second,
	"y": 31557600 * time.Second, "year": 31557600 * time.Second, "years": 31557600 * time.Second,
}

// parseTimeSpan reads a time span such as "1h 30min". Nothing and zero are none: a start or a stop takes time.
func parseTimeSpan(s string) (TimeSpan, bool) {
	if s == "infinity" {
		return TimeSpan{Text: s, Infinite: true}, true
	}
	// A century is as good as no limit, and the sum of a few fits into 64 bits of nanoseconds.
	limit := 100 * timeUnits["y"]
	rest, total := strings.TrimSpace(s), time.Duration(0)
	for rest != "" {
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		count, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return TimeSpan{}, false
		}
		rest = strings.TrimLeft(rest[len(digits):], " ")
		end := strings.IndexAny(rest, "0123456789 ")
		if end < 0 {
			end = len(rest)
		}
		unit, known := timeUnits[rest[:end]]
		if !known || count > int64(limit/unit) {
			return TimeSpan{}, false
		}
		if total += time.Duration(count) * unit; total > limit {
			return TimeSpan{}, false
		}
		rest = strings.TrimLeft(rest[end:], " ")
	}
	return TimeSpan{Text: s, Duration: total}, total > 0
}
