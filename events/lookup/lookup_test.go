package lookup_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events/lookup"
)

var now = time.Date(2026, 11, 12, 15, 4, 5, 0, time.UTC) // a Thursday

func TestNumberAcceptsEverySpelling(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{"4XRJK-QYW10", "4xrjk-qyw10", "4XRJKQYW10", "#4XRJK-QYW10", "# 4xrjk qyw10", " 4 x r j k - q y w 1 0 ", "4XRJK–QYW10",
		"4XRJK-QYWIO", "4xrjkqywlo", "4XRJK\u00a0QYW1O", "order 4XRJK-QYW10", "Order no. 4xrjkqyw10", "Order: #4XRJK-QYW10", "\u200b4XRJK-QYW10.", "4XRJK.QYW10"} {
		if got := lookup.Parse(typed, now).Number; got != "4XRJK-QYW10" {
			t.Errorf("%q: got number %q, want 4XRJK-QYW10", typed, got)
		}
	}
	for _, typed := range []string{"", "4XRJK-QYW1", "4XRJK-QYW100", "4XRJK-QYWU0", "ada@example.com", "4XRJK-QYW1é", "ada lovelace"} {
		if got := lookup.Number(typed); got != "" {
			t.Errorf("%q: got number %q, want none", typed, got)
		}
	}
}

func TestParseFindsEveryIdentifier(t *testing.T) {
	t.Parallel()
	const id = "0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10"
	for typed, want := range map[string]lookup.Query{
		"0197E3A0-5C3B-7D1E-9A55-2F1C8F6F2B10":   {UUID: id},
		" 0197e3a05c3b7d1e9a552f1c8f6f2b10 ":     {UUID: id},
		"0197e3a0-5c3b-7d1e-\n9a55-2f1c8f6f2b10": {UUID: id},
		"  Ada@Example.COM ":                     {Email: "ada@example.com"},
		"Ada L. <Ada@example.com>":               {Email: "ada@example.com"},
		"mailto:ada@example.com,":                {Email: "ada@example.com"},
		"PI_3PqZ0a2eZvKYlo2C1":                   {Stripe: "pi_3PqZ0a2eZvKYlo2C1"},
		" ch_3PqZ0a2eZvKYlo2C1":                  {Stripe: "ch_3PqZ0a2eZvKYlo2C1"},
		"re_1A":                                  {},
		"re_1Ab":                                 {Stripe: "re_1Ab"},
		"evt_1PqZ0a2eZvKYlo2C":                   {Stripe: "evt_1PqZ0a2eZvKYlo2C"},
		"12,345":                                 {Sequence: 12345},
		"seq 12 345":                             {Sequence: 12345},
		"#17":                                    {Sequence: 17},
		"ada@":                                   {},
		"@example.com":                           {},
	} {
		got := lookup.Parse(typed, now)
		got = lookup.Query{UUID: got.UUID, Email: got.Email, Stripe: got.Stripe, Sequence: got.Sequence}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", typed, diff)
		}
	}
	if got := lookup.Parse(" 85123A ", now); got.SKU != "85123A" || got.ID != "85123A" {
		t.Errorf("got %+v, want the SKU and the id 85123A", got)
	}
}

func TestParseReadsWordsStatusesAndDates(t *testing.T) {
	t.Parallel()
	day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 0, 0, 0, 0, time.UTC) }
	for typed, want := range map[string]lookup.Search{
		"Zoë  Müller-Łukasiewicz":       {Words: []string{"zoe", "muller-lukasiewicz"}},
		"STRASSE straße":                {Words: []string{"strasse", "strasse"}},
		"ada Confirmed":                 {Words: []string{"ada"}, Statuses: []string{"confirmed"}},
		"awaiting payment":              {Statuses: []string{"awaiting_payment"}},
		"awaiting_payment paid-late":    {Statuses: []string{"awaiting_payment", "paid_late"}},
		"unpaid":                        {Payments: []string{"unpaid"}, Statuses: []string{"placed", "awaiting_payment"}},
		"to ship":                       {Payments: []string{"paid", "partly_refunded"}, Statuses: []string{"confirmed"}, Fulfilment: []string{"unfulfilled", "partly_fulfilled"}},
		"late":                          {Statuses: []string{"paid_late"}},
		"refunded partly refunded":      {Payments: []string{"refunded", "partly_refunded"}},
		"today":                         {From: day(11, 12), To: day(11, 13)},
		"paid Yesterday":                {Payments: []string{"paid"}, From: day(11, 11), To: day(11, 12)},
		"this week":                     {From: day(11, 9), To: day(11, 16)},
		"last week":                     {From: day(11, 2), To: day(11, 9)},
		"7d":                            {From: day(11, 6)},
		"24h":                           {From: now.Add(-24 * time.Hour)},
		"2026-11-01..2026-11-07 london": {Words: []string{"london"}, From: day(11, 1), To: day(11, 8)},
		"2026-11-03":                    {From: day(11, 3), To: day(11, 4)},
		"2026-10":                       {From: day(10, 1), To: day(11, 1)},
		"2026-10..":                     {From: day(10, 1)},
		"..2026-10-31":                  {To: day(11, 1)},
		"2026-11-07..2026-11-01":        {Words: []string{"2026-11-07..2026-11-01"}},
		"2026-13-01":                    {Words: []string{"2026-13-01"}},
		"..":                            {Words: []string{".."}},
		"":                              {},
	} {
		if diff := cmp.Diff(want, lookup.Parse(typed, now).Search); diff != "" {
			t.Errorf("%q (-want +got):\n%s", typed, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"# 4xrjk qyw10", "ada@example.com", "2026-11-01..2026-11-07", "pi_1234", "\xff", "to ship 7d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		q := lookup.Parse(typed, now)
		if again := lookup.Number(q.Number); again != q.Number {
			t.Errorf("number of %q: got %q, want %q again", q.Number, again, q.Number)
		}
		if folded := lookup.Fold(typed); lookup.Fold(folded) != folded {
			t.Errorf("Fold(%q): got %q, which folds to %q", typed, folded, lookup.Fold(folded))
		}
	})
}
