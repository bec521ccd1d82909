package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tillstream/inventory"
)

const header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

func ledger(t *testing.T, rows ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.csv")
	if err := os.WriteFile(path, []byte(header+strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// shelves remembers what was listed, as the shop does, and refuses one SKU.
type shelves struct {
	mu    sync.Mutex
	items map[string]inventory.Listing
	calls []int
}

func (s *shelves) put(t *testing.T) func(http.ResponseWriter, *http.Request) any {
	return func(_ http.ResponseWriter, r *http.Request) any {
		s.mu.Lock()
		defer s.mu.Unlock()
		var body struct {
			Items []inventory.Listing `json:"items"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		s.calls = append(s.calls, len(body.Items))
		results := []map[string]any{}
		for _, item := range body.Items {
			_, known := s.items[item.SKU]
			result := map[string]any{"sku": item.SKU, "changed": !known}
			if item.SKU == "BAD1" {
				result = map[string]any{"sku": item.SKU, "changed": false, "error": "no room for it"}
			} else {
				s.items[item.SKU] = item
			}
			results = append(results, result)
		}
		return map[string]any{"results": results}
	}
}

func TestImportItems(t *testing.T) {
	t.Parallel()
	s := &shelves{items: map[string]inventory.Listing{}}
	target := api(t, s.put(t))
	rows := []string{
		"536365,POST,POSTAGE,1,12/1/2010 8:26,18.00,17850,France",
		"536365,DOT,DOTCOM POSTAGE,1,12/1/2010 8:26,18.00,17850,France",
		"536365,71053,WHITE METAL LANTERN,x,12/1/2010 8:26,3.39,17850,United Kingdom",
	}
	for i := range 250 {
		rows = append(rows, fmt.Sprintf("536365,%d,WHITE LANTERN,6,12/1/2010 8:26,2.55,17850,United Kingdom", 10000+i))
	}
	file, refused := ledger(t, rows...), filepath.Join(t.TempDir(), "refused.csv")

	code, stdout, stderr := ops(t, append([]string{"import-items", file, "--show", "1", "--refused", refused}, target...)...)
	if code != exitOK || !strings.Contains(words(stdout), "250 new or changed, 0 as they were, 0 refused by the shop; 3 lines refused") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	for _, want := range []string{"not goods", "bad quantity", "and 2 more", refused} {
		if !strings.Contains(stdout, want) {
			t.Errorf("does not say %q: %s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "imported 200 of 250") || len(s.calls) != 2 || s.calls[0] != 200 {
		t.Errorf("batches %v, progress %q", s.calls, stderr)
	}
	if item := s.items["10007"]; item.Price != gbp(255) || item.OnHand == nil || *item.OnHand != 6 {
		t.Errorf("listed %+v", item)
	}
	written, err := os.ReadFile(refused)
	if err != nil || strings.Count(string(written), "\n") != 4 || !strings.HasPrefix(string(written), "line,reason,detail,text\n2,not goods,") {
		t.Errorf("refused file: %v\n%s", err, written)
	}

	code, stdout, _ = ops(t, append([]string{"import-items", file, "--keep-stock"}, target...)...)
	if code != exitOK || !strings.Contains(words(stdout), "0 new or changed, 250 as they were") || s.items["10007"].OnHand != nil {
		t.Errorf("again: exit %d: %s", code, stdout)
	}
}

func TestImportSaysWhatTheShopRefuses(t *testing.T) {
	t.Parallel()
	s := &shelves{items: map[string]inventory.Listing{}}
	target := api(t, s.put(t))
	file := ledger(t, "536365,BAD1,WHITE LANTERN,6,12/1/2010 8:26,2.55,17850,United Kingdom")
	code, stdout, _ := ops(t, append([]string{"import-items", file}, target...)...)
	if code != exitOff || !strings.Contains(stdout, "refused BAD1: no room for it") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	target[3] = "wrong"
	if code, _, stderr := ops(t, append([]string{"import-items", file}, target...)...); code != exitFailed || !strings.Contains(stderr, "after 0 of 1 items") {
		t.Errorf("wrong token: exit %d: %s", code, stderr)
	}
	other := filepath.Join(t.TempDir(), "other.csv")
	if err := os.WriteFile(other, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := ops(t, append([]string{"import-items", other}, target...)...); code != exitFailed || !strings.Contains(stderr, "other.csv") {
		t.Errorf("other file: exit %d: %s", code, stderr)
	}
}

// What was refused goes to a file that is opened first: when it cannot be written nothing has been imported.
func TestImportItemsSeesFirstThatRefusedCanBeWritten(t *testing.T) {
	t.Parallel()
	s := &shelves{items: map[string]inventory.Listing{}}
	path := ledger(t, "536365,85123A,HOLDER,6,1/12/2010,2.55,17850,United Kingdom")
	nowhere := filepath.Join(t.TempDir(), "nowhere", "refused.csv")
	code, stdout, stderr := ops(t, append([]string{"import-items", path, "--refused", nowhere}, api(t, s.put(t))...)...)
	if code != exitFailed || len(s.items) > 0 || !strings.Contains(stderr, "--refused") || !strings.Contains(stderr, "nothing was imported") {
		t.Errorf("exit %d, %d items listed: %s%s", code, len(s.items), stdout, stderr)
	}
}
