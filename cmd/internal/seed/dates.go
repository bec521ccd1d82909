package seed

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrDates is returned when the dates of a ledger are evidently in another format than the one they are read in.
var ErrDates = errors.New("dates are in another format")

// DateFormat is the format of the dates in a ledger, by its name in flags. The time of day may follow each date. The zero value
// is [AnyDate].
type DateFormat string

// The formats.
const (
	// AnyDate accepts the two formats that cannot be confused with each other: year-month-day and day/month/year. A ledger
	// with a month over 12 is in month/day/year, and its other dates would silently be read as wrong days. It is refused
	// as a whole with [ErrDates].
	AnyDate DateFormat = ""

	ISODate    DateFormat = "iso"   // 2010-12-31
	DayFirst   DateFormat = "d/m/y" // 31/12/2010
	MonthFirst DateFormat = "m/d/y" // 12/31/2010
)

// dateLayouts are the formats as layouts of package time.
var dateLayouts = map[DateFormat][]string{
	ISODate: {"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339,
		"2006-01-02 15:04:05Z07:00"},
	DayFirst:   {"2/1/2006", "2/1/2006 15:04", "2/1/2006 15:04:05"},
	MonthFirst: {"1/2/2006", "1/2/2006 15:04", "1/2/2006 15:04:05"},
}

// dateExamples describe each format in error messages.
var dateExamples = map[DateFormat]string{
	AnyDate:    "2010-12-31 or 31/12/2010 (d/m/yyyy); --date-format reads other formats, such as --date-format m/d/y",
	ISODate:    "2010-12-31 (--date-format iso)",
	DayFirst:   "31/12/2010 (--date-format d/m/y)",
	MonthFirst: "12/31/2010 (--date-format m/d/y)",
}

// UnmarshalText parses the name of a format, for flags.
func (f *DateFormat) UnmarshalText(text []byte) error {
	name := DateFormat(strings.ToLower(string(text)))
	if dateLayouts[name] == nil {
		return fmt.Errorf("unknown date format %.40q: want iso (2010-12-31), d/m/y (31/12/2010) or m/d/y (12/31/2010)", text)
	}
	*f = name
	return nil
}

// Parse parses one date, with or without the time of day. The error names the date and the expected format.
func (f DateFormat) Parse(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	formats := []DateFormat{f}
	if f == AnyDate {
		formats = []DateFormat{DayFirst, ISODate}
	}
	for _, format := range formats {
		if date, ok := format.parse(text); ok {
			return date, nil
		}
	}
	return time.Time{}, refuse(BadDate, "%.40q, want %s", text, dateExamples[f])
}

// parse parses a date of one format; AnyDate is two.
func (f DateFormat) parse(text string) (time.Time, bool) {
	for _, layout := range dateLayouts[f] {
		if date, err := time.Parse(layout, text); err == nil {
			return date, true
		}
	}
	return time.Time{}, false
}

// contradicts returns [ErrDates] for a date that can only be month/day/year, unless a format was given: then such a date is
// only one bad line.
func (f DateFormat) contradicts(text string) error {
	if f != AnyDate {
		return nil
	}
	text = strings.TrimSpace(text)
	date, isMonthFirst := MonthFirst.parse(text)
	if !isMonthFirst || date.Day() <= 12 {
		return nil
	}
	return fmt.Errorf("%w: %.40q read as d/m/yyyy has month %d; pass --date-format m/d/y if it is %s, or --date-format d/m/y to refuse only such lines",
		ErrDates, text, date.Day(), date.Format("2 January 2006"))
}
