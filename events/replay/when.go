package replay

import (
	"fmt"
	"strings"
	"time"
)

// ParseWhen reads the end of a range of times as people type it: a time as [ParseMoment] reads it, or a duration such as 90m or 7d, which
// means that long before now. "" is the zero time. A sequence is no time.
func ParseWhen(text string, now time.Time) (time.Time, error) {
	if strings.TrimSpace(text) == "" {
		return time.Time{}, nil
	}
	ago, err := parseDuration(strings.TrimSpace(text))
	if err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	isDuration := err == nil
	at, err := ParseMoment(text, now)
	if err != nil || at.Sequence > 0 || isDuration {
		return time.Time{}, fmt.Errorf("%.40q is not a time: want 2026-11-30, 2026-11-30 14:05, 2026-11-30T14:05:00Z or a duration such as 90m", text)
	}
	return at.Time, nil
}
