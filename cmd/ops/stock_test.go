package main

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/events/replay"
)

// movement appends a movement of MUG after which this many are on hand and held.
func (b *broker) movement(id, order string, quantity, onHand, held int64) {
	m := events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: quantity, OrderID: order,
		After: events.StockLevel{OnHand: onHand, Held: held, Available: onHand - held}}
	if order == "" {
		b.publish(id, "inventory.stock.main.MUG", "", "", events.StockAdjusted{StockMovement: m, Reason: "=received\x1b[31m"})
		return
	}
	b.publish(id, "inventory.stock.main.MUG", order, "", events.StockHeld{StockMovement: m})
}

func TestStockShowsTheLedgerOfASKU(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.movement("m1", "", 9, 9, 0)
	b.movement("m2", "0198a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", 2, 9, 2)
	flags := []string{"--nats", b.url}
	code, stdout, stderr := ops(t, append([]string{"stock", "MUG", "--limit", "1"}, flags...)...)
	if want := "held -2 9 2 7 order 0198a1b2-…3f4a5b"; code != exitOK || !strings.Contains(words(stdout), want) || !strings.Contains(stderr, "--before 2") {
		t.Errorf("got exit code %d, want %q and the next page:\n%s%s", code, want, stdout, stderr)
	}
	code, stdout, _ = ops(t, append([]string{"stock", "MUG", "--before", "2"}, flags...)...)
	if code != exitOK || !strings.Contains(words(stdout), "adjusted +9 9 0 9 =received") || strings.Contains(stdout, "\x1b") || strings.Contains(stdout, "held") {
		t.Errorf("older: got exit code %d, want the first movement without control characters:\n%q", code, stdout)
	}
	code, stdout, _ = ops(t, append([]string{"stock", "MUG", "--json"}, flags...)...)
	var ledger replay.Ledger
	if err := json.Unmarshal([]byte(stdout), &ledger); err != nil || code != exitOK || len(ledger.Movements) != 2 || ledger.Total != 2 {
		t.Errorf("JSON: got exit code %d, %v and %s", code, err, stdout)
	}
	var out strings.Builder
	if code := run(t.Context(), append([]string{"stock", "MUG", "--csv"}, flags...), &terminal{out: &out, err: &out}); code != exitOK {
		t.Fatalf("CSV: got exit code %d and %s", code, out.String())
	}
	rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][3] != "-2" || rows[1][7] != "0198a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b" || !strings.HasPrefix(rows[2][8], "'=") {
		t.Errorf("CSV: got %q, %v; want two movements, the formula escaped", rows, err)
	}
	trying(t, flags...)("stock CUP", exitFailed, "not in the log")
}

func TestStockListsAllItems(t *testing.T) {
	t.Parallel()
	target := staffServer(t, func(_ http.ResponseWriter, r *http.Request) any {
		q := r.URL.Query()
		row := map[string]any{"sku": "SKU" + q.Get("cursor"), "title": "Below " + q.Get("below"), "price": gbp(850), "available": 0, "on_hand": 2, "held": 2}
		return map[string]any{"items": []any{row}, "matching": 7, "next_cursor": q.Get("cursor") + "x"}
	})
	trying(t, target...)("stock --below 3 --limit 2", exitOK, "SKU 8.50 GBP 2 2 0 Below 3", "SKUx 8.50 GBP", "2 items of 7")
	trying(t, target...)("stock --below 3 --limit 1 --csv", exitOK, "SKU,Below 3,8.50 GBP,2,2,0")
	trying(t, target...)("stock MUG --below 3", exitFailed, "leave the SKU out")
	trying(t, target...)("stock --before 3", exitFailed, "name the SKU")
}

func TestAdjustSaysWhatChanges(t *testing.T) {
	t.Parallel()
	sent := map[string]any{}
	target := staffServer(t, func(w http.ResponseWriter, r *http.Request) any {
		if r.URL.Path != "/ops/api/stock/MUG-1" && r.URL.Path != "/ops/api/stock/MUG-1/adjustments" {
			w.WriteHeader(http.StatusNotFound)
		}
		if r.Method == http.MethodPost {
			if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
				t.Error(err)
			}
			return map[string]any{"sku": "MUG-1", "on_hand": 15, "available": 13, "held": 2}
		}
		return map[string]any{"sku": "MUG-1", "on_hand": 12, "available": 10, "held": 2}
	})
	try := trying(t, target...)
	try("adjust MUG-1 --delta 3 --reason received --dry-run", exitOK, "on hand 12 → 15, held 2, available 10 → 13 (not changed")
	if len(sent) > 0 {
		t.Fatalf("dry run: got a request %v, want none", sent)
	}
	try("adjust MUG-1 --delta 3 --reason received", exitOK, "MUG-1 on hand 12 → 15")
	if sent["delta"] != 3.0 || sent["reason"] != "received" || sent["expect_on_hand"] != 12.0 {
		t.Errorf("got the request %v", sent)
	}
	try("adjust MUG-1 --count 1 --reason counted", exitFailed, "less than is held for orders: 2")
	try("adjust MUG-1 --reason counted", exitFailed, "--count")
	try("adjust MUG-1 --count 1 --delta 1 --reason counted", exitFailed, "--count")
	try("adjust MUG-1 --count 1", exitFailed, "--reason")
	try("adjust NONE --count 1 --reason counted", exitFailed, "404")
}
