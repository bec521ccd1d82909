package replay

import (
	"fmt"
	"strings"
	"time"
)

// whenLayouts are the forms in which people type a time. One without a zone is in the given location.
var whenLayouts = []string{time.RFC3339Nano, time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04", time.DateOnly}

// ParseWhen reads a time as people type it: a date, a date with a time, RFC 3339, or a duration such as 90m, which means that long
// before now. "" is the zero time. A time without a zone is in the location of now.
func ParseWhen(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range whenLayouts {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is not a time: want 2026-11-30, 2026-11-30 14:05, 2026-11-30T14:05:00Z or a duration such as 90m", text)
}
