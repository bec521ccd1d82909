package replay

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ParseWhen reads the end of a range of times as people type it: a time as [ParseMoment] reads it, or a duration such as 90m or 7d, which
// means that long before now. "" is the zero time. A sequence is no time.
func ParseWhen(text string, now time.Time) (time.Time, error) {
	if strings.TrimSpace(text) == "" {
		return time.Time{}, nil
	}
	ago, notDuration := parseDuration(strings.TrimSpace(text))
	at, isTime := parseTime(text, now)
	switch {
	case notDuration == nil && ago >= 0:
		return now.Add(-ago), nil
	case notDuration != nil && isTime:
		return at, nil
	}
	return time.Time{}, fmt.Errorf("%.40q is not a time: want 2026-11-30, 2026-11-30 14:05, \"yesterday 14:05\", 2026-11-30T14:05:00Z or a duration such as 90m", text)
}

// layouts are the forms of a time without a time zone, in the zone of the operator.
var layouts = []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05"}

// timesOfDay are the forms of a time of day. The first is the beginning of the day.
var timesOfDay = []string{"", "15:04", "15:04:05"}

// parseTime reads a time as people type it, in the time zone of now:
//
//	2026-11-30   2026-11-30 14:05   2026-11-30T14:05:00Z   today   yesterday 14:05   14:05   now   -2h   now-2h   2h ago   1d12h ago
func parseTime(text string, now time.Time) (at time.Time, ok bool) {
	text = strings.Join(strings.Fields(text), " ")
	if strings.EqualFold(text, "now") {
		return now, true
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at, true
	}
	for _, layout := range layouts {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, true
		}
	}
	text = strings.ToLower(text)
	if at, ok := timeOfDay(text, now); ok {
		return at, true
	}
	before, ok := strings.CutSuffix(text, " ago")
	if !ok {
		before, ok = strings.CutPrefix(strings.TrimPrefix(text, "now"), "-")
	}
	d, err := parseDuration(before)
	return now.Add(-d), ok && err == nil && d >= 0
}

// timeOfDay reads a day that is named by a word, a time of today, or both.
func timeOfDay(text string, now time.Time) (at time.Time, ok bool) {
	day, clock, _ := strings.Cut(text, " ")
	back := 0
	switch day {
	case "yesterday":
		back = 1
	case "today":
	default:
		clock = text // of today
	}
	for _, layout := range timesOfDay {
		if at, err := time.Parse(layout, clock); err == nil && text != "" {
			return time.Date(now.Year(), now.Month(), now.Day()-back, at.Hour(), at.Minute(), at.Second(), 0, now.Location()), true
		}
	}
	return time.Time{}, false
}

// inDays matches a duration that begins with days, which [time.ParseDuration] does not read.
var inDays = regexp.MustCompile(`^(\d{1,5})d(.*)$`)

func parseDuration(text string) (time.Duration, error) {
	found := inDays.FindStringSubmatch(text)
	if found == nil {
		return time.ParseDuration(text)
	}
	days, err := strconv.Atoi(found[1])
	if err != nil {
		return 0, err
	}
	rest := time.Duration(0)
	if found[2] != "" {
		rest, err = time.ParseDuration(found[2])
	}
	return time.Duration(days)*24*time.Hour + rest, err
}
