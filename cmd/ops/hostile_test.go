package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/text"
)

// hostile is text that would control a terminal, change the order of what it shows, or hide: OSC and CSI sequences in one and two
// bytes, a bell, a backspace, bidirectional controls, and characters without width.
const hostile = "Ada\u202e\x1b]0;owned\a\x1b[2J\u009b31m\b\x7f\u2066\u200b\u00ad Bob"

// hostileLines has line breaks too, which headers cannot have.
const hostileLines = hostile + "\r\nops: 0 problems"

// No command writes a control character or a change of the writing direction that is stored anywhere in the shop.
func TestStoredTextCannotControlTheTerminal(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	db, uri := database(t)
	b.hostileShop()
	b.admit()
	api := hostileAPI(t)
	dir := t.TempDir()
	ledger := filepath.Join(dir, "ledger.csv")
	lines := "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n1,85123A,\"" + hostile + "\",1,2010-12-01,2.55,1,GB\n2,\"" + hostile + "\",x,1,2010-12-01,2.55,1,GB\n"
	if err := os.WriteFile(ledger, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Collection("orders").InsertOne(t.Context(), map[string]any{"_id": "extra" + hostile, "seq": 1, "doc": map[string]any{"number": hostile}}); err != nil {
		t.Fatal(err)
	}
	printed := map[string]bool{} // commands that have printed stored text
	for _, args := range hostileCommands(dir, ledger) {
		for _, format := range []string{"", "--json", "--wide"} {
			if format == "--json" && (len(args) > 0 && args[0] == "backup" || strings.Contains(strings.Join(args, " "), "--csv")) {
				continue
			}
			line := append([]string{}, args...)
			if format != "" {
				line = append(line, format)
			}
			line = append(line, "--nats", b.url, "--ops", api, "--ops-key", testKey)
			if len(args) == 0 || args[0] != "verify" { // it waits for the archive
				line = append(line, "--mongodb", uri)
			}
			if b.checkPrinted(line) {
				printed[strings.Join(args[:min(len(args), 2)], " ")] = true
			}
		}
	}
	for _, command := range []string{"", "order o1", "timeline o1", "at o1", "at item:MUG", "diff o1", "tail --since", "lag", "deadletters list", "deadletters show", "orders", "verify --wait", "import-items " + ledger, "stock", "stock MUG", "adjust MUG", "audit"} {
		if !printed[command] {
			t.Errorf("ops %s: got no stored text, so nothing was checked", command)
		}
	}
}

// hostileCommands are command lines that show what is stored, or have hostile text themselves. dir is a directory for what they write.
func hostileCommands(dir, ledger string) [][]string {
	return [][]string{
		{}, {"order", "o1"}, {"timeline", "o1"}, {"at", "o1", "now"}, {"at", "item:MUG", "now"}, {"at", "payment:" + events.FirstPaymentID("o1"), "now"},
		{"at", "notification:o1", "now"}, {"at", "orders.broken", "now"}, {"at", hostile, "now"}, {"at", "o1", hostile}, {"diff", "o1", "1"}, {"diff", "item:MUG", "1"},
		{"at", "--all", "now", "--out", filepath.Join(dir, "state")}, {"tail", "--since", "1h", "--count", "13"}, {"tail", "--type", hostile}, {"tail", "--domain", hostile},
		{"lag"}, {"lag", "--csv"}, {"deadletters", "list", "--state", "all"}, {"deadletters", "list", "--csv"}, {"deadletters", "show", "1"}, {"deadletters", "show", "2"},
		{"deadletters", "redrive", "1", "--dry-run"}, {"deadletters", "redrive", "--fingerprint", hostile, "--reason", "x"}, {"deadletters", "discard", "2", "--reason", hostile},
		{"pause", hostile, "--reason", "x"}, {"resume", "payments" + hostile, "--reason", "x"}, {"rebuild", "orders", "--dry-run"}, {"rebuild", hostile}, {"repair"}, {"topology"},
		{"void", "1", "--dry-run", "--reason", "x", "--force"}, {"void", "1", "--reason", hostile}, {"verify", "--wait", "0s", "--settle", "0s"}, {"verify", "--at", "3"},
		{"backup", filepath.Join(dir, "backup")}, {"orders"}, {"orders", "--csv"}, {"orders", "--q", hostile}, {"import-items", ledger}, {"sell" + hostile}, {"completion", hostile},
		{"stock"}, {"stock", "MUG"}, {"stock", "MUG", "--csv"}, {"adjust", "MUG", "--delta", "1", "--reason", "x"}, {"audit"}, {"audit", "--entity", hostile}, {"staff"}, {"staff", "role", hostile, "viewer", "--reason", "x"},
		{"keys"}, {"keys", "revoke", hostile, "--reason", "x"}, {"redeliver", "--order", "o1", "--dry-run"}, {"redeliver", "--to", hostile, "--seq", "1", "--dry-run"}, {"replays"}, {"replays", "show", hostile},
	}
}

// checkPrinted runs a command and fails the test if it writes what a terminal would obey. It reports whether stored text was written.
func (b *broker) checkPrinted(args []string) (stored bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	if args[0] == "completion" {
		args = args[:2]
	}
	run(ctx, args, &terminal{out: &stdout, err: &stderr})
	for line := range strings.Lines(stdout.String() + stderr.String()) {
		for _, r := range strings.TrimSuffix(line, "\n") {
			if s := string(r); text.Printable(s) != s {
				b.t.Errorf("ops %q: got %U in %q", args, r, line)
				return true
			}
		}
	}
	if stdout.Len()+stderr.Len() == 0 {
		b.t.Errorf("ops %q: got no answer", args)
	}
	return strings.Contains(stdout.String()+stderr.String(), "owned")
}

// hostileShop appends events with hostile text in every field that stores text.
func (b *broker) hostileShop() {
	line := events.OrderLine{SKU: "MUG", Title: hostileLines, Quantity: 2, UnitPrice: gbp(625), Total: gbp(1250)}
	b.publish("1"+hostile, "orders.o1", "o1", "", events.OrderPlaced{OrderID: "o1", Number: hostile, Total: gbp(1250), Lines: []events.OrderLine{line}, CustomerID: hostile,
		Customer: events.Customer{Name: hostileLines, Email: hostileLines}, ShipTo: events.Address{Line1: hostileLines, Line2: hostile, City: hostile, PostalCode: hostile, Country: hostile}})
	b.publish("2", events.PrefixItem+"MUG", "", "", events.ItemChanged{SKU: "MUG", Title: hostileLines, Description: hostileLines, Image: hostile, Tags: []string{hostile}, Price: gbp(625)})
	b.publish("3", "orders.o1", "o1", "1"+hostile, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: "o1", Number: hostile}, Reason: hostileLines})
	payment := events.PrefixPayment + events.FirstPaymentID("o1")
	b.publish("4", payment, "o1", "1", events.PaymentRequested{PaymentID: events.FirstPaymentID("o1"), OrderID: "o1", Number: hostile, Amount: gbp(1250)})
	b.publish("5", payment, "o1", "4", events.PaymentIntentCreated{PaymentIntent: hostile, Amount: gbp(1250)})
	b.publish("6", payment, "o1", "5", events.PaymentDeclined{Fact: hostile, Code: hostile, DeclineCode: hostile, Message: hostileLines})
	b.publish("7", payment, "o1", "5", events.PaymentRefundFailed{RefundID: hostile, Amount: gbp(1), Reason: hostileLines})
	b.publish("8", events.PrefixNotification+"o1", "o1", "3", events.MessageQueued{OrderID: "o1", MessageID: hostile, Template: hostile, Fact: hostile})
	b.publish("9", events.PrefixNotification+"o1", "o1", "8", events.MessageFailed{MessageID: hostile, Error: hostileLines})
	b.publish("10", events.PrefixReservation+"o1", "o1", "1", events.ReservationRefused{OrderID: "o1", Short: []events.Shortage{{SKU: hostile, Requested: 1}}})
	b.publish("11", events.PrefixStock+"MUG", "", "", events.StockAdjusted{StockMovement: events.StockMovement{SKU: hostile, Quantity: 1}, Reason: hostileLines})
	b.garbage("orders.broken", nats.Header{events.HeaderType: {hostile}, events.HeaderID: {hostile}, events.HeaderActor: {hostile}, hostileHeader: {hostile}})
	b.garbage("orders.x\x1b[2J\u202e", nats.Header{})
	for i, subject := range []string{"orders.o1", "orders." + hostile} {
		b.publish("d"+hostile+subject, events.PrefixDeadLetter+"orders."+string(rune('1'+i)), "o1", "", events.DeadLettered{Worker: "orders" + strings.Repeat(hostile, i), Sequence: uint64(i + 1), Subject: subject,
			Type: hostile, EventID: hostile, Error: hostileLines, Fingerprint: hostile, Attempt: 1})
	}
	for _, lane := range []string{"notifications.mail", "payments"} {
		if err := b.log.SaveCheckpoint(b.t.Context(), &eventlog.Checkpoint{Lane: lane, Position: 1, CircuitOpen: hostileLines}); err != nil {
			b.t.Fatal(err)
		}
	}
}

const hostileHeader = "X-Hostile"

// garbage publishes a message that is not an event.
func (b *broker) garbage(subject string, header nats.Header) {
	b.t.Helper()
	if _, err := b.js.PublishMsg(b.t.Context(), &nats.Msg{Subject: subject, Header: header, Data: []byte(hostileLines)}); err != nil {
		b.t.Fatal(err)
	}
}

// hostileAPI is a staff API that answers with hostile text.
func hostileAPI(t *testing.T) (origin string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any = map[string]any{"title": hostileLines, "detail": hostileLines, "errors": []map[string]string{{"message": hostileLines, "location": hostile}}}
		switch {
		case r.URL.Path == "/readyz":
			answer = map[string]any{"status": hostile, "codes": []string{hostile}, "reason": hostileLines}
		case r.URL.Path == "/ops/api/orders" && r.URL.Query().Get("q") == "":
			answer = map[string]any{"orders": []orderRow{{ID: hostile, Number: hostile, Status: hostile, Payment: hostile, Email: hostileLines, Total: gbp(1)}}}
		case r.URL.Path == "/ops/api/items":
			answer = map[string]any{"results": []itemResult{{SKU: hostile, Error: hostileLines}}}
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
