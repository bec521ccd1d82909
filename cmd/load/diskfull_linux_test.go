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

// Row 14 of the fault matrix: the broker's disk is full. The shop answers 503 with Retry-After and stores no part of a refused
// order. When there is space again and the shop was restarted, it continues.
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
	acknowledged := k.buySome(t, 10)
	free := disktest.Fill(t, small)
	accepted, refused := k.placeUntilRefused(t, sku)
	free()
	proc.Check(t, k.shop.Kill())
	k.open(t)
	answer, id := k.place(t, refused, sku)
	if answer.StatusCode != http.StatusCreated {
		t.Errorf("refused order after the restart: got status %d, want 201", answer.StatusCode)
	}
	accepted = append(accepted, id)
	acknowledged = append(acknowledged, k.buySome(t, 10)...)
	report := k.check(t, append(acknowledged, accepted...))
	if confirmed := report.Counts.ByStatus["confirmed"]; confirmed != len(acknowledged) {
		t.Errorf("got %d confirmed orders, want %d", confirmed, len(acknowledged))
	}
	proc.Check(t, k.shop.Stop(30*time.Second))
}

// buySome buys without faults, and returns the acknowledged orders.
func (k *killedShop) buySome(t *testing.T, orders int) (acknowledged []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "acknowledged")
	if err := k.load(t, file, orders).result(t); err != nil {
		t.Errorf("load: %v", err)
	}
	return linesOf(t, file)
}

// placeUntilRefused places unpaid orders until one is refused, and returns those that were accepted and the key of the refused
// one. Some may be accepted first, in the last free blocks.
func (k *killedShop) placeUntilRefused(t *testing.T, sku string) (accepted []string, refused string) {
	t.Helper()
	for n := range 1000 {
		key := fmt.Sprintf("late-%d", n)
		answer, id := k.place(t, key, sku)
		if answer.StatusCode == http.StatusCreated {
			accepted = append(accepted, id)
			continue
		}
		if after := answer.Header.Get("Retry-After"); answer.StatusCode != http.StatusServiceUnavailable || after == "" {
			t.Errorf("got status %d with Retry-After %q, want 503 with a time", answer.StatusCode, after)
		}
		t.Logf("%d orders were accepted before one was refused", len(accepted))
		return accepted, key
	}
	t.Fatal("got 1000 orders, want one refused")
	return nil, ""
}

// place sends one order in one attempt.
func (k *killedShop) place(t *testing.T, key, sku string) (answer *http.Response, id string) {
	t.Helper()
	body := fmt.Sprintf(`{"email":"ada@example.com","name":"Ada","shipping_address":{"line1":"1 Market Place","city":"Anytown",`+
		`"postal_code":"10000","country":"GB"},"lines":[{"sku":%q,"quantity":1}]}`, sku)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+k.http+"/api/orders", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", "a key of the test: "+key)
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
