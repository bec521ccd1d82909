package seed

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestDatesAreParsedByFormat(t *testing.T) {
	t.Parallel()
	first, eighth := time.Date(2010, time.December, 1, 0, 0, 0, 0, time.UTC), time.Date(2010, time.December, 8, 0, 0, 0, 0, time.UTC)
	morning := first.Add(8*time.Hour + 26*time.Minute)
	for _, test := range []struct {
		format DateFormat
		text   string
		want   time.Time // zero: refused
	}{
		{AnyDate, "1/12/2010", first}, {AnyDate, " 01/12/2010 ", first}, {AnyDate, "1/12/2010 8:26", morning}, {AnyDate, "1/12/2010 08:26:00", morning},
		{AnyDate, "2010-12-01", first}, {AnyDate, "2010-12-01 08:26", morning}, {AnyDate, "2010-12-01 08:26:00", morning},
		{AnyDate, "2010-12-01T08:26", morning}, {AnyDate, "2010-12-01T08:26:00Z", morning}, {AnyDate, "2010-12-01T09:26:00.000+01:00", morning},
		{AnyDate, "12/31/2010", time.Time{}}, {AnyDate, "2010-13-01", time.Time{}}, {AnyDate, "2010-02-30", time.Time{}}, {AnyDate, "31/11/2010", time.Time{}},
		{AnyDate, "", time.Time{}}, {AnyDate, "1.12.2010", time.Time{}}, {AnyDate, "1/12/10", time.Time{}}, {AnyDate, "2010-1-2x", time.Time{}},
		{ISODate, "2010-12-08", eighth}, {ISODate, "8/12/2010", time.Time{}},
		{DayFirst, "8/12/2010", eighth}, {DayFirst, "12/31/2010", time.Time{}}, {DayFirst, "2010-12-08", time.Time{}},
		{MonthFirst, "12/8/2010", eighth}, {MonthFirst, "12/1/2010 8:26", morning}, {MonthFirst, "31/12/2010", time.Time{}}, {MonthFirst, "2010-12-08", time.Time{}},
	} {
		got, err := test.format.Parse(test.text)
		if (err != nil) != test.want.IsZero() || !got.Equal(test.want) {
			t.Errorf("%q as %q: got %v, %v, want %v", test.text, test.format, got, err, test.want)
		}
		if err != nil && !strings.Contains(err.Error(), "--date-format") {
			t.Errorf("%q as %q: got %v, want an error that names --date-format", test.text, test.format, err)
		}
	}
}

func TestDateFormatIsParsedByName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"iso", "ISO", "d/m/y", "m/d/y"} {
		var f DateFormat
		if err := f.UnmarshalText([]byte(name)); err != nil || string(f) != strings.ToLower(name) {
			t.Errorf("%s: got %q, %v", name, f, err)
		}
	}
	for _, name := range []string{"", "y/m/d", "dd/mm/yyyy", "2006-01-02"} {
		var f DateFormat
		if err := f.UnmarshalText([]byte(name)); err == nil || !strings.Contains(err.Error(), "want iso (2010-12-31), d/m/y") {
			t.Errorf("%q: got %v, want an error with the known formats", name, err)
		}
	}
}

// One month over 12 shows that the dates are month/day/year. Other dates of the file could silently be read as wrong days, so the
// file is refused, even if that line would be refused for another reason.
func TestMonthFirstLedgerIsRefused(t *testing.T) {
	t.Parallel()
	const good = "700001,20001A,LAMP,6,12/1/2010,2.55,11001,United Kingdom\n"
	for name, test := range map[string]struct {
		line       string
		monthFirst int // lines refused when the format is given
	}{
		"Goods":   {"700001,20001A,LAMP,6,12/13/2010 8:26,2.55,11001,United Kingdom", 0},
		"Postage": {"700001,POST,POSTAGE,1,12/13/2010 8:26,18,11001,United Kingdom", 1},
		"Credit":  {"C700001,20001A,LAMP,-6,12/13/2010 8:26,2.55,11001,United Kingdom", 0},
	} {
		text := strings.Join(Columns, ",") + "\n" + good + test.line + "\n" + good
		_, items := ReadCSV(strings.NewReader(text), AnyDate)
		_, sales := Invoices(strings.NewReader(text), AnyDate, nil)
		for _, err := range []error{items, sales} {
			if !errors.Is(err, ErrDates) {
				t.Fatalf("%s: got %v, want ErrDates", name, err)
			}
			for _, part := range []string{"line 3", `"12/13/2010 8:26"`, "month 13", "--date-format m/d/y", "13 December 2010"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: got %v, want an error with %q", name, err, part)
				}
			}
		}
		for format, refused := range map[DateFormat]int{MonthFirst: test.monthFirst, DayFirst: 1} {
			got, err := ReadCSV(strings.NewReader(text), format)
			if err != nil || len(got.Items) != 1 || len(got.Refused) != refused {
				t.Errorf("%s as %s: got %+v, %v, want %d refused lines", name, format, got, err, refused)
			}
		}
	}
}

// The newest description is the title, and the date format decides which one is the newest.
func TestDateFormatDecidesTitle(t *testing.T) {
	t.Parallel()
	text := strings.Join(Columns, ",") + "\n700001,20001A,RED LAMP,6,2/1/2010,2.55,11001,United Kingdom\n700002,20001A,BLUE LAMP,6,1/12/2010,2.55,11001,United Kingdom\n"
	for format, want := range map[DateFormat]string{AnyDate: "BLUE LAMP", DayFirst: "BLUE LAMP", MonthFirst: "RED LAMP"} {
		got, err := ReadCSV(strings.NewReader(text), format)
		if err != nil || len(got.Items) != 1 || got.Items[0].Title != want {
			t.Errorf("%q: got %+v, %v, want %s", format, got.Items, err, want)
		}
	}
}
