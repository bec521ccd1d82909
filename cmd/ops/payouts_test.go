package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/payments"
)

// samplePayout is a payout that adds up, except for a difference.
func samplePayout(difference int64) payments.PayoutReport {
	day := time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC)
	money := func(n int64) events.Money { return events.Money{Amount: n, Currency: "GBP"} }
	return payments.PayoutReport{
		Payout: payments.Payout{ID: "po_1", Amount: money(911), Status: "paid", ArrivesAt: day, CreatedAt: day},
		Groups: []payments.PayoutGroup{{Group: payments.GroupCharges, Count: 1, Amount: money(1250), Fee: money(39), Net: money(1211)},
			{Group: payments.GroupRefunds, Count: 1, Amount: money(-300), Fee: money(0), Net: money(-300)}},
		Rows: []payments.PayoutRow{{Transaction: "txn_2", Kind: "refund", Source: "re_1", Number: "8F3K2-MQD7A", Amount: money(-300), Fee: money(0), Net: money(-300), CreatedAt: day},
			{Transaction: "txn_1", Kind: "charge", Source: "ch_1", Number: "8F3K2-MQD7A", Amount: money(1250), Fee: money(39), Net: money(1211), CreatedAt: day}},
		Net: money(911), Difference: money(difference),
	}
}

// payoutServer is a staff API with one payout.
func payoutServer(t *testing.T, difference int64) []string {
	t.Helper()
	return staffServer(t, func(_ http.ResponseWriter, r *http.Request) any {
		if r.URL.Path == "/ops/api/payouts" {
			return payments.PayoutsBody{Payouts: []payments.Payout{samplePayout(0).Payout}}
		}
		return samplePayout(difference)
	})
}

func TestPayoutsAreShown(t *testing.T) {
	t.Parallel()
	target := payoutServer(t, 0)
	code, stdout, stderr := ops(t, append([]string{"payouts"}, target...)...)
	if want := "2026-11-28 9.11 GBP paid po_1"; code != exitOK || !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
		t.Errorf("got exit code %d, want %q:\n%s%s", code, want, stdout, stderr)
	}
	code, stdout, stderr = ops(t, append([]string{"payout", "po_1"}, target...)...)
	if code != exitOK {
		t.Errorf("got exit code %d:\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{"charges 1 12.50 GBP 0.39 GBP 12.11 GBP", "2026-11-28 8F3K2-MQD7A refund -3.00 GBP 0.00 GBP -3.00 GBP re_1", "net 9.11 GBP"} {
		if !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
			t.Errorf("want %q, got\n%s", want, stdout)
		}
	}
	checkWidths(t, stdout)
	code, stdout, _ = ops(t, append([]string{"payout", "po_1", "--csv"}, target...)...)
	if lines := strings.Split(strings.TrimSpace(stdout), "\n"); code != exitOK || len(lines) != 3 || !strings.Contains(lines[2], "8F3K2-MQD7A") {
		t.Errorf("CSV: got exit code %d:\n%s", code, stdout)
	}
}

func TestPayoutThatDoesNotAddUpNamesTheDifference(t *testing.T) {
	t.Parallel()
	code, stdout, _ := ops(t, append([]string{"payout", "po_1"}, payoutServer(t, 400)...)...)
	if code != exitProblem || !strings.Contains(stdout, "4.00 GBP of the payout is in no row") {
		t.Errorf("got exit code %d:\n%s", code, stdout)
	}
}

func TestDisputesAreListed(t *testing.T) {
	t.Parallel()
	due := time.Date(2026, 12, 9, 0, 0, 0, 0, time.UTC)
	target := staffServer(t, func(_ http.ResponseWriter, r *http.Request) any {
		if r.URL.Query().Get("dispute") != "open" {
			t.Errorf("got query %s, want open disputes", r.URL.RawQuery)
		}
		d := payments.Dispute{Status: events.DisputeNeedsResponse, Reason: "fraudulent", Amount: events.Money{Amount: 1250, Currency: "GBP"}, EvidenceDue: due}
		return payments.ListBody{Payments: []payments.ListedPayment{{Number: "8F3K2-MQD7A", Disputes: []payments.ListedDispute{{ID: "dp_1", Dispute: d}}}}}
	})
	code, stdout, stderr := ops(t, append([]string{"payments", "--dispute", "open"}, target...)...)
	if want := "8F3K2-MQD7A needs_response fraudulent 12.50 GBP 2026-12-09 dp_1"; code != exitOK || !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
		t.Errorf("got exit code %d, want %q:\n%s%s", code, want, stdout, stderr)
	}
}

// Large amounts and long statuses fit into 80 columns, and neither the number of an order nor its status is shortened.
func TestPaymentsAreListedWithoutShorteningWhatIsTyped(t *testing.T) {
	t.Parallel()
	row := payments.ListedPayment{Number: "8F3K2-MQD7A", Status: "partly_refunded", Amount: gbp(123456789), Captured: gbp(123456789), Refunded: gbp(500), PaymentIntent: "pi_3ttyJkuLbKLCptrNUebHXyml",
		Settlement: &payments.Settlement{Net: gbp(-1566)}, Disputes: []payments.ListedDispute{{Dispute: payments.Dispute{Status: events.DisputeNeedsResponse}}}}
	code, stdout, stderr := ops(t, append([]string{"payments"}, staffServer(t, func(http.ResponseWriter, *http.Request) any {
		return payments.ListBody{Payments: []payments.ListedPayment{row}}
	})...)...)
	for _, want := range []string{"8F3K2-MQD7A 1234567.89 GBP", "-15.66 GBP", "partly_refunded, dispute needs_response", row.PaymentIntent} {
		if code != exitOK || !strings.Contains(words(stdout), want) {
			t.Errorf("got %d, want %q:\n%s%s", code, want, stdout, stderr)
		}
	}
	checkWidths(t, stdout)
}
