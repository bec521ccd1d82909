package seed

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrDates is returned when a ledger evidently writes its dates in another format than the one it is read in.
var ErrDates = errors.New("dates are in another format")

// DateFormat is how a ledger writes its dates. The time of day may follow in each of them. A text is one of the names below;
// the zero value is [AnyDate].
type DateFormat string

// The formats.
const (
	// AnyDate takes both of the formats that cannot be confused with each other: year-month-day and day/month/year. A ledger
	// that has a date with a month over 12 writes month/day/year, so that its other dates would be read as other days, in
	// silence. It is refused as a whole with [ErrDates].
	AnyDate DateFormat = ""

	ISODate    DateFormat = "iso"   // 2010-12-31
	DayFirst   DateFormat = "d/m/y" // 31/12/2010
	MonthFirst DateFormat = "m/d/y" // 12/31/2010
)

// dateLayouts are the formats as package time knows them.
var dateLayouts = map[DateFormat][]string{
	ISODate: {"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339,
		"2006-01-02 15:04:05Z07:00"},
	DayFirst:   {"2/1/2006", "2/1/2006 15:04", "2/1/2006 15:04:05"},
	MonthFirst: {"1/2/2006", "1/2/2006 15:04", "1/2/2006 15:04:05"},
}

// dateExamples are what each format looks like, for those who are told that something else was found.
var dateExamples = map[DateFormat]string{
	AnyDate:    "2010-12-31 or 31/12/2010 (d/m/yyyy); --date-format reads other formats, such as --date-format m/d/y",
	ISODate:    "2010-12-31, as --date-format iso says",
	DayFirst:   "31/12/2010, as --date-format d/m/y says",
	MonthFirst: "12/31/2010, as --date-format m/d/y says",
}

// UnmarshalText takes the name of a format, as a flag has it.
func (f *DateFormat) UnmarshalText(text []byte) error {
	name := DateFormat(strings.ToLower(string(text)))
	if dateLayouts[name] == nil {
		return fmt.Errorf("%.40q is no format of dates: want iso (2010-12-31), d/m/y (31/12/2010) or m/d/y (12/31/2010)", text)
	}
	*f = name
	return nil
}

// Parse reads one date, with or without the time of day. The error says what was found and what it should look like.
func (f DateFormat) Parse(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	formats := []DateFormat{f}
	if f == AnyDate {
		formats = []DateFormat{DayFirst, ISODate}
	}
	for _, format := range formats {
		if date, ok := format.read(text); ok {
			return date, nil
		}
	}
	return time.Time{}, refuse(BadDate, "%.40q, want %s", text, dateExamples[f])
}

// read is for the formats that are one.
func (f DateFormat) read(text string) (time.Time, bool) {
	for _, layout := range dateLayouts[f] {
		if date, err := time.Parse(layout, text); err == nil {
			return date, true
		}
	}
	return time.Time{}, false
}

// disproved returns [ErrDates] for a date that only month/day/year can mean, unless a format was given. With a format such a
// date is one bad line among others.
func (f DateFormat) disproved(text string) error {
	if f != AnyDate {
		return nil
	}
	text = strings.TrimSpace(text)
	date, isMonthFirst := MonthFirst.read(text)
	if !isMonthFirst || date.Day() <= 12 {
		return nil
	}
	return fmt.Errorf("%w: %.40q has the month %d when it is read as d/m/yyyy; pass --date-format m/d/y if the file means %s, or --date-format d/m/y to refuse only the lines that are not d/m/yyyy",
		ErrDates, text, date.Day(), date.Format("2 January 2006"))
}
