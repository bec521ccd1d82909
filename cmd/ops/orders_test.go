package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// staffServer starts a staff API whose answers a test defines, and returns the flags with its address and token.
func staffServer(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) any) []string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"title":"Unauthorized","detail":"staff only"}`)
			return
		}
		if err := json.NewEncoder(w).Encode(answer(w, r)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return []string{"--ops", server.URL + "/", "--ops-key", "secret"}
}

func TestOrdersReadsPagesUpToTheLimit(t *testing.T) {
	t.Parallel()
	target := staffServer(t, func(_ http.ResponseWriter, r *http.Request) any {
		q := r.URL.Query()
		row := map[string]any{"id": "id-" + q.Get("cursor"), "number": "N" + q.Get("limit"), "status": q.Get("status"), "payment_status": q.Get("payment_status"), "fulfilment_status": "unfulfilled", "email": q.Get("q"),
			"total": gbp(1250), "placed_at": "2026-01-02T03:04:05Z"}
		return map[string]any{"orders": []any{row}, "next_cursor": q.Get("cursor") + "x"}
	})
	code, stdout, stderr := ops(t, append([]string{"orders", "--limit", "3", "--status", "confirmed", "--payment", "paid", "--search", "a@example.com"}, target...)...)
	lines := strings.Split(stdout, "\n")
	if code != exitOK || len(lines) != 5 || !strings.Contains(stderr, "there are more orders") {
		t.Fatalf("got exit code %d:\n%s%s", code, stdout, stderr)
	}
	for i, want := range []string{"NUMBER STATUS PAYMENT TOTAL PLACED E-MAIL", "N3 confirmed paid 12.50 GBP", "N2 confirmed paid 12.50 GBP", "N1 confirmed paid 12.50 GBP"} {
		if got := strings.Join(strings.Fields(lines[i]), " "); !strings.HasPrefix(got, want) {
			t.Errorf("line %d: got %q, want %q", i, got, want)
		}
	}
	target[3] = "wrong"
	code, _, stderr = ops(t, append([]string{"orders"}, target...)...)
	if code != exitFailed || !strings.Contains(stderr, "staff only") || !strings.Contains(stderr, "--ops-key") {
		t.Errorf("wrong token: got exit code %d and %q", code, stderr)
	}
}
