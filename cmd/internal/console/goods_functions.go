package console

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"
)

// goodsFunctions are functions of templates beside those of [console.functions].
//
//	segment .SKU        any text as one segment of a path
//	signed .Change      +3, -2, 0
//	movement .What      the class of the chip of a movement or a status
//	day .From           a time to the minute, in UTC
//	dispute .ID .Live   the address of a dispute in Stripe's dashboard
//	date .ArrivesAt     the day of a time, in UTC
//	words .Status       a status in words
//	orderIn .Subject    the id in "order 0198…", "" for another subject
//	picture .Image      the address of an item's picture in the console, "" for one on another site
func goodsFunctions() template.FuncMap {
	return template.FuncMap{"segment": url.PathEscape, "signed": func(n int64) string { return fmt.Sprintf("%+d", n) }, "movement": chipOf,
		"day": func(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04") }, "dispute": disputeAtStripe, "date": func(t time.Time) string { return t.UTC().Format("2 Jan 2006") }, "picture": pictureOf, "words": func(status any) string { return strings.ReplaceAll(fmt.Sprint(status), "_", " ") },
		"orderIn": func(subject string) string {
			id, ok := strings.CutPrefix(subject, "order ")
			if !ok {
				return ""
			}
			return id
		}}
}

// disputeAtStripe returns the address of a dispute in Stripe's dashboard, which shows test data at another address.
func disputeAtStripe(id string, live bool) string {
	if live {
		return "https://dashboard.stripe.com/disputes/" + url.PathEscape(id)
	}
	return "https://dashboard.stripe.com/test/disputes/" + url.PathEscape(id)
}

// chips are the classes of chips by what they say.
var chips = map[string]string{"sold": "good", "captured": "good", "active": "good", "adjusted": "info", "returned": "info", "authorized": "info", "invited": "info",
	"requires_action": "warn", "processing": "warn", "partly_refunded": "warn", "refunded": "warn", "unreadable": "bad", "void": "bad", "failed": "bad",
	"cancelled": "bad", "expired": "bad", "paid": "good", "in_transit": "info", "pending": "info", "canceled": "bad",
	"needs_response": "bad", "warning_needs_response": "warn", "under_review": "info", "warning_under_review": "info", "won": "good", "warning_closed": "good", "lost": "bad"}

func chipOf(what any) string { return chips[fmt.Sprint(what)] }
