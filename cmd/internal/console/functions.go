package console

import (
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/text"
)

// functions are the functions of the templates.
//
//	asset "console.css"      the address of an asset
//	money .Total             £1,234.50
//	number 12345             12,345
//	ago $.Now .Stored        <time datetime=… title=exact>3 min ago</time>
//	exact .Stored            the time to the millisecond, in UTC
//	short .OrderID           the beginning and the end of a long id
//	shortSubject .Subject    the same of the id in a subject
//	entity "orders.X"        the page of the entity of a subject, "" for one without a page
//	event 17                 the page of an event by its sequence
//	printable .Title         text with invisible characters written as escapes
//	plural 3 "event"         3 events
//	findingPage .Subject     the page about the subject of a finding of a verification, "" for one without a page
//	mailPath .Order .ID      the page of a mail
//	bytes 1234567            1.2 MB
func (c *console) functions() template.FuncMap {
	functions := template.FuncMap{"asset": c.assets.Address, "money": money, "number": number, "ago": ago, "exact": exact, "short": short, "shortSubject": shortSubject,
		"entity": entityPage, "event": eventPage, "printable": text.Printable, "plural": plural, "lower": strings.ToLower,
		"dict": dict, "duration": duration, "statusClass": statusClass, "words": words, "findingPage": findingPage, "bytes": megabytes,
		"mailPath": mailPath}
	maps.Copy(functions, goodsFunctions())
	return functions
}

// money formats an amount in the language of the console.
func money(m events.Money) string { return m.Format("en") }

// number writes a count with commas between the thousands.
func number(n any) string {
	digits := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	var out strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(digit)
	}
	return sign + out.String()
}

// exact is a time to the millisecond, in UTC.
func exact(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05.000 UTC") }

// ago is a time as an element that reads like "3 min ago" and has the exact time as its title.
func ago(now, at time.Time) template.HTML {
	if at.IsZero() {
		return "never"
	}
	words := duration(now.Sub(at)) + " ago"
	if at.After(now) {
		words = "in " + duration(at.Sub(now))
	}
	if now.Sub(at).Abs() < time.Second {
		words = "now"
	}
	// Both values are made here from a time and hold no markup.
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, at.UTC().Format(time.RFC3339Nano), exact(at), words))
}

// duration is a length of time in its largest unit.
func duration(d time.Duration) string {
	switch d = d.Abs(); {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}

// short leaves out the middle of a long id.
func short(id string) string {
	runes := []rune(id)
	if len(runes) <= 14 {
		return id
	}
	return string(runes[:6]) + "…" + string(runes[len(runes)-5:])
}

// megabytes is a size as people read it.
func megabytes(n int64) string {
	if n < 100_000 {
		return number((n+999)/1000) + " kB"
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// shortSubject is a subject with the last part made short.
func shortSubject(subject string) string {
	before := strings.LastIndexByte(subject, '.') + 1
	return subject[:before] + short(subject[before:])
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// entityPages are the pages of entities by the prefix of their subject.
var entityPages = []struct{ prefix, page string }{
	{events.PrefixOrder, "/ops/orders/"}, {events.PrefixReservation, "/ops/orders/"}, {events.PrefixPayment, "/ops/payments/"},
	{events.PrefixItem, "/ops/items/"}, {events.PrefixStock, "/ops/stock/"}, {events.PrefixNotification, "/ops/messages/"},
	{events.PrefixReplay, "/ops/replay/"},
}

// entityPage returns the address of the page of the entity that a subject belongs to, "" when it has none.
func entityPage(subject string) string {
	for _, e := range entityPages {
		if id, ok := events.ParseSubject(e.prefix, subject); ok && subject != events.SubjectWebhooks {
			return e.page + url.PathEscape(id)
		}
	}
	return ""
}

// eventPage returns the address of the page of an event.
func eventPage(sequence uint64) string { return fmt.Sprintf("/ops/events/%d", sequence) }

// dict makes the data of a part from names and values.
func dict(pairs ...any) (map[string]any, error) {
	values := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: argument %d is no name", i)
		}
		values[name] = pairs[i+1]
	}
	return values, nil
}
