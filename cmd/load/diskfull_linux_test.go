package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/disktest"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/seed"
)

// Row 14 of the fault matrix: the broker's disk is full. The shop answers 503 and when to come again; nothing is half
// done; and when there is room again, and the shop was started anew, all goes on where it was.
func TestDiskIsFull(t *testing.T) {
	if !insideWithDisks(t) {
		return
	}
	k := newKilledShop(t)
	small := disktest.Small(t, 16<<20)
	if err := errors.Join(os.MkdirAll(k.data, 0o755), os.Symlink(small, filepath.Join(k.data, "nats"))); err != nil {
		t.Fatal(err)
	}
	k.open(t)
	sku := seed.Demo()[0].SKU
	promised := k.buySome(t, 10)
	free := disktest.Fill(t, small)
	taken, refused := k.placeUntilRefused(t, sku)
	free()
	proc.Check(t, k.shop.Kill())
	k.open(t)
	answer, id := k.place(t, refused, sku)
	if answer.StatusCode != http.StatusCreated {
		t.Errorf("with room again the order that was refused is answered %d", answer.StatusCode)
	}
	taken = append(taken, id)
	promised = append(promised, k.buySome(t, 10)...)
	report := k.check(t, append(promised, taken...))
	if confirmed := report.Counts.ByStatus["confirmed"]; confirmed != len(promised) {
		t.Errorf("%d orders are confirmed, want %d", confirmed, len(promised))
	}
	proc.Check(t, k.shop.Stop(30*time.Second))
}

// buySome lets shoppers buy in peace.
func (k *killedShop) buySome(t *testing.T, orders int) (promised []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "acknowledged")
	if err := k.load(t, file, orders).result(t); err != nil {
		t.Errorf("load: %v", err)
	}
	return linesOf(t, file)
}

// placeUntilRefused places orders, which nobody pays, until one is refused as it should be, and returns them all. What
// little room was left on the last pages may be sold before.
func (k *killedShop) placeUntilRefused(t *testing.T, sku string) (taken []string, refused string) {
	t.Helper()
	for n := range 1000 {
		key := fmt.Sprintf("late-%d", n)
		answer, id := k.place(t, key, sku)
		if answer.StatusCode == http.StatusCreated {
			taken = append(taken, id)
			continue
		}
		if after := answer.Header.Get("Retry-After"); answer.StatusCode != http.StatusServiceUnavailable || after == "" {
			t.Errorf("refused with %d, come again in %q; want 503 and a time", answer.StatusCode, after)
		}
		t.Logf("%d orders were taken before one was refused", len(taken))
		return taken, key
	}
	t.Fatal("no order was refused")
	return nil, ""
}

// place posts one order, once.
func (k *killedShop) place(t *testing.T, key, sku string) (answer *http.Response, id string) {
	t.Helper()
	body := fmt.Sprintf(`{"email":"ada@example.com","name":"Ada","shipping_address":{"line1":"1 Market Place","city":"Anytown",`+
		`"postal_code":"10000","country":"GB"},"lines":[{"sku":%q,"quantity":1}]}`, sku)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+k.http+"/api/orders", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	if answer, err = http.DefaultClient.Do(request); err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var order struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&order); err != nil {
		t.Fatal(err)
	}
	return answer, order.ID
}
