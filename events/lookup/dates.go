package lookup

import (
	"strconv"
	"strings"
	"time"
)

// Dates reads a day, a month, a range of them, or words for recent days, in the location of now. from is the beginning of the
// first day, and to the end of the last; one of them is the zero time in an open range. ok is false for any other text.
//
//	2026-11-01   2026-11   2026-11-01..2026-11-07   2026-11-01..   ..2026-11-07   today   yesterday   last week   7d   24h
func Dates(text string, now time.Time) (from, to time.Time, ok bool) {
	first, last, isRange := strings.Cut(strings.ToLower(text), "..")
	if !isRange {
		return oneDate(strings.TrimSpace(first), now)
	}
	first, last = strings.TrimSpace(first), strings.TrimSpace(strings.TrimLeft(last, "."))
	if first != "" {
		if from, _, ok = oneDate(first, now); !ok {
			return time.Time{}, time.Time{}, false
		}
	}
	if last != "" {
		if _, to, ok = oneDate(last, now); !ok {
			return time.Time{}, time.Time{}, false
		}
	}
	ordered := from.IsZero() || to.IsZero() || from.Before(to)
	return from, to, first+last != "" && ordered
}

// oneDate reads a text without a range.
func oneDate(text string, now time.Time) (from, to time.Time, ok bool) {
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	monday := today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
	switch text {
	case "today":
		return today, today.AddDate(0, 0, 1), true
	case "yesterday":
		return today.AddDate(0, 0, -1), today, true
	case "this week":
		return monday, monday.AddDate(0, 0, 7), true
	case "last week":
		return monday.AddDate(0, 0, -7), monday, true
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		return day, day.AddDate(0, 0, 1), true
	}
	if month, err := time.ParseInLocation("2006-01", text, now.Location()); err == nil {
		return month, month.AddDate(0, 1, 0), true
	}
	if at, err := time.Parse(time.RFC3339, strings.ToUpper(text)); err == nil {
		return at, at, true
	}
	return recent(text, today, now)
}

// recent reads "7d", the last seven days with today, and "24h". Its end is open.
func recent(text string, today, now time.Time) (from, to time.Time, ok bool) {
	if len(text) < 2 {
		return from, to, false
	}
	n, err := strconv.Atoi(text[:len(text)-1])
	if err != nil || n < 1 || n > 3660 {
		return from, to, false
	}
	switch text[len(text)-1] {
	case 'd':
		return today.AddDate(0, 0, 1-n), to, true
	case 'h':
		return now.Add(-time.Duration(n) * time.Hour), to, true
	}
	return from, to, false
}
