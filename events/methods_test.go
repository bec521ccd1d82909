package events_test

import (
	"strings"
	"testing"
	"time"

	"tillstream/events"
)

func TestCheckMethodsRefusesWhatDoesNotWork(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"card": "", "card,sepa_debit,link": "", "automatic": "", "link,card": "",
		"": `"card" is missing`, "sepa_debit": `"card" is missing`, "card,card": "twice", "card,automatic": "stands alone",
		"card,apple_pay": "comes with card", "card,oxxo": "au_becs_debit, bacs_debit", "card, link": `" link"`, "Card": "some of card",
	} {
		var names []string
		if list != "" {
			names = strings.Split(list, ",")
		}
		err := events.CheckMethods(names)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got error %v, want %q", list, err, want)
		}
	}
}

func TestMethodAllowsItsCurrenciesAndAmounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method string
		money  events.Money
		want   bool
	}{
		{"card", events.Money{Amount: 1, Currency: "KWD"}, true},
		{"sepa_debit", events.Money{Amount: 1_000_000, Currency: "EUR"}, true},
		{"sepa_debit", events.Money{Amount: 1_000_001, Currency: "EUR"}, false},
		{"sepa_debit", events.Money{Amount: 1250, Currency: "GBP"}, false},
		{"p24", events.Money{Amount: 1250, Currency: "PLN"}, true},
	} {
		m, known := events.FindMethod(c.method)
		if got := m.Allows(c.money); got != c.want || !known {
			t.Errorf("%s allows %s: got %t, want %t", c.method, c.money, got, c.want)
		}
	}
}

// docs.stripe.com/payments/sepa-debit: up to 14 business days, which are almost three weeks.
func TestProcessingTimeCountsDaysOfTheCalendar(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for method, want := range map[string]time.Duration{"card": 0, "link": 0, "ideal": 0, "google_pay": 0,
		"sepa_debit": 22 * day, "bacs_debit": 12 * day, "au_becs_debit": 7 * day, "us_bank_account": 22 * day, "": 22 * day} {
		if got := events.ProcessingTime(method); got != want || got > events.LongestProcessing() {
			t.Errorf("%q: got %s, want %s", method, got, want)
		}
	}
}
