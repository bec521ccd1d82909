package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/entities"
	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/orders"
	"tillstream/payments"
)

func TestLinesOfAParcel(t *testing.T) {
	t.Parallel()
	c := fulfilCommand{Lines: []string{"MUG=2", "A=B=1"}, Carrier: "Post", Final: true}
	got, err := c.request()
	want := map[string]any{"carrier": "Post", "tracking": "", "final": true,
		"lines": []map[string]any{{"sku": "MUG", "quantity": int64(2)}, {"sku": "A=B", "quantity": int64(1)}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("request: %v; want-, got+:\n%s", err, diff)
	}
	for _, line := range []string{"MUG", "=1", "MUG=0", "MUG=x"} {
		c.Lines = []string{line}
		if _, err := c.request(); err == nil {
			t.Errorf("--line %s: got no error, want one", line)
		}
	}
}

// The price of a parcel is not what its capture takes: the first one can take all that is due. So the answer names the command that tells.
func TestTheAnswerAboutAParcelFitsALineAndDoesNotCallItsPriceCaptured(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	flags := append(staffServer(t, func(http.ResponseWriter, *http.Request) any {
		return orders.Fulfilment{ID: "55c806aa-8a99-5607-a892-04723ca15030", Amount: gbp(1250)}
	}), "--nats", b.url)
	code, stdout, stderr := ops(t, append([]string{"fulfil", "o1"}, flags...)...)
	if code != exitOK || !strings.Contains(words(stdout), "goods and delivery for 12.50 GBP; ops order o1 shows what is captured") {
		t.Errorf("got %d:\n%s%s", code, stdout, stderr)
	}
	checkWidths(t, stdout)
}

// The page of an order shows its parcels, until when the authorization can be captured, and how to send what is left.
func TestTheOrderPageShowsParcelsAndTheAuthorization(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 12, 7, 21, 2, 0, 0, time.Local)
	page := orderPage{Order: orders.Order{Number: "8F3K2-MQD7A", Fulfilments: []orders.Fulfilment{{Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 2}}, Carrier: "Post", Tracking: "RR1", SentAt: until}}},
		Payment: &entities.Payment{Status: payments.StatusAuthorized, Payment: payments.Payment{ID: "p1", Amount: gbp(2500), Authorized: gbp(2500), AuthorizedUntil: until}}}
	var b strings.Builder
	if err := page.write(&terminal{out: &b}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"authorized 25.00 GBP until 2026-12-07 21:02 · captured 0.00 GBP", "parcel 2 × MUG · Post RR1"} {
		if !strings.Contains(words(b.String()), want) {
			t.Errorf("want %q, got\n%s", want, b.String())
		}
	}
}

func TestAnOrderWithUnsentGoodsNamesTheCommandThatSendsThem(t *testing.T) {
	t.Parallel()
	page := orderPage{Order: orders.Order{Number: "8F3K2-MQD7A", Status: orders.Confirmed, Lines: []events.OrderLine{{SKU: "MUG", Quantity: 1}}}}
	page.addEvents(replay.History{OrderID: "o1", Entries: make([]replay.Entry, 1)})
	if !slices.Contains(page.Next, "ops fulfil 8F3K2-MQD7A --carrier NAME --tracking NUMBER") {
		t.Errorf("got %q, want the command that records a parcel", page.Next)
	}
	page.Next, page.Order.Disputes = nil, []orders.Dispute{{Status: events.DisputeNeedsResponse}}
	page.addEvents(replay.History{OrderID: "o1", Entries: make([]replay.Entry, 1)})
	if strings.Contains(strings.Join(page.Next, " "), "fulfil") {
		t.Errorf("disputed: got %q, want no command that sends goods", page.Next)
	}
}

func checkWidths(t *testing.T, text string) {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if width(line) > columns {
			t.Errorf("%d columns: %s", width(line), line)
		}
	}
}
