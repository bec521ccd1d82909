package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/seed"
	"tillstream/inventory"
)

const header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

// ledger writes a sales ledger.
func ledger(t *testing.T, rows ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.csv")
	if err := os.WriteFile(path, []byte(header+strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// catalogue is a staff API that stores items and refuses the SKU BAD1.
type catalogue struct {
	mu    sync.Mutex
	items map[string]inventory.Listing
	calls []int
}

func (s *catalogue) put(t *testing.T) func(http.ResponseWriter, *http.Request) any {
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

func TestImportItemsInBatches(t *testing.T) {
	t.Parallel()
	s := &catalogue{items: map[string]inventory.Listing{}}
	flags := staffServer(t, s.put(t))
	rows := []string{
		"536365,POST,POSTAGE,1,12/1/2010 8:26,18.00,17850,France",
		"536365,DOT,DOTCOM POSTAGE,1,12/1/2010 8:26,18.00,17850,France",
		"536365,71053,WHITE METAL LANTERN,x,12/1/2010 8:26,3.39,17850,United Kingdom",
	}
	for i := range 250 {
		rows = append(rows, fmt.Sprintf("536365,%d,WHITE LANTERN,6,12/1/2010 8:26,2.55,17850,United Kingdom", 10000+i))
	}
	file, refused := ledger(t, rows...), filepath.Join(t.TempDir(), "refused.csv")

	code, stdout, stderr := ops(t, append([]string{"import-items", file, "--show", "1", "--refused", refused}, flags...)...)
	if code != exitOK || !strings.Contains(words(stdout), "250 new or changed, 0 unchanged, 0 refused by the shop; 3 lines refused") {
		t.Fatalf("got exit code %d:\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{"not goods", "bad quantity", "and 2 more", refused} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got\n%s\nwant %q", stdout, want)
		}
	}
	if !strings.Contains(stderr, "imported 200 of 250") || len(s.calls) != 2 || s.calls[0] != 200 {
		t.Errorf("got batches %v and progress %q", s.calls, stderr)
	}
	if item := s.items["10007"]; item.Price != gbp(255) || item.OnHand == nil || *item.OnHand != 6 {
		t.Errorf("got item %+v", item)
	}
	written, err := os.ReadFile(refused)
	if err != nil || strings.Count(string(written), "\n") != 4 || !strings.HasPrefix(string(written), "line,reason,detail,text\n2,not goods,") {
		t.Errorf("got refused lines\n%s, error %v", written, err)
	}

	code, stdout, _ = ops(t, append([]string{"import-items", file, "--keep-stock"}, flags...)...)
	if code != exitOK || !strings.Contains(words(stdout), "0 new or changed, 250 unchanged") || s.items["10007"].OnHand != nil {
		t.Errorf("import again: got exit code %d:\n%s", code, stdout)
	}
}

func TestImportNamesItemsThatTheShopRefuses(t *testing.T) {
	t.Parallel()
	s := &catalogue{items: map[string]inventory.Listing{}}
	flags := staffServer(t, s.put(t))
	file := ledger(t, "536365,BAD1,WHITE LANTERN,6,12/1/2010 8:26,2.55,17850,United Kingdom")
	code, stdout, _ := ops(t, append([]string{"import-items", file}, flags...)...)
	if code != exitProblem || !strings.Contains(stdout, "refused BAD1: no room for it") {
		t.Errorf("got exit code %d, want %d and the refused item:\n%s", code, exitProblem, stdout)
	}
	flags[3] = "wrong"
	if code, _, stderr := ops(t, append([]string{"import-items", file}, flags...)...); code != exitFailed || !strings.Contains(stderr, "after 0 of 1 item ") {
		t.Errorf("wrong token: got exit code %d and %q", code, stderr)
	}
	other := filepath.Join(t.TempDir(), "other.csv")
	if err := os.WriteFile(other, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := ops(t, append([]string{"import-items", other}, flags...)...); code != exitFailed || !strings.Contains(stderr, "other.csv") {
		t.Errorf("file with other columns: got exit code %d and %q", code, stderr)
	}
}

// Refused lines are written first, so nothing is imported if that fails.
func TestImportStopsIfRefusedLinesCannotBeWritten(t *testing.T) {
	t.Parallel()
	s := &catalogue{items: map[string]inventory.Listing{}}
	path := ledger(t, "536365,85123A,HOLDER,6,1/12/2010,2.55,17850,United Kingdom")
	missing := filepath.Join(t.TempDir(), "missing", "refused.csv")
	code, stdout, stderr := ops(t, append([]string{"import-items", path, "--refused", missing}, staffServer(t, s.put(t))...)...)
	if code != exitFailed || len(s.items) > 0 || !strings.Contains(stderr, "--refused") || !strings.Contains(stderr, "nothing was imported") {
		t.Errorf("got exit code %d and %d items, want %d and none:\n%s%s", code, len(s.items), exitFailed, stdout, stderr)
	}
}

func TestImportFailsIfNoLineCanBeUsed(t *testing.T) {
	t.Parallel()
	s := &catalogue{items: map[string]inventory.Listing{}}
	flags := staffServer(t, s.put(t))
	for name, rows := range map[string][]string{
		"OnlyHeader": nil,
		"AllRefused": {"536365,POST,POSTAGE,1,2010-12-01,18.00,17850,France", "536365,71053,LANTERN,6,yesterday,3.39,17850,France"},
	} {
		file, refused := ledger(t, rows...), filepath.Join(t.TempDir(), "refused.csv")
		code, stdout, stderr := ops(t, append([]string{"import-items", file, "--refused", refused}, flags...)...)
		if code != exitFailed || !strings.Contains(stderr, "no line of "+file) || !strings.Contains(stderr, "nothing was imported") || len(s.calls) > 0 {
			t.Errorf("%s: got exit code %d:\n%s%s", name, code, stdout, stderr)
		}
		if len(rows) > 0 && (!strings.Contains(stdout, "not goods") || !strings.Contains(stdout, "bad date")) {
			t.Errorf("%s: got\n%s\nwant both reasons", name, stdout)
		}
		if written, err := os.ReadFile(refused); err != nil || strings.Count(string(written), "\n") != 1+len(rows) {
			t.Errorf("%s: got refused lines\n%s, error %v", name, written, err)
		}
	}
}

func TestImportReadsDatesOnlyIfTheirFormatIsClear(t *testing.T) {
	t.Parallel()
	s := &catalogue{items: map[string]inventory.Listing{}}
	flags := staffServer(t, s.put(t))
	iso := ledger(t, "536365,10001,RED LANTERN,6,2010-12-01,2.55,17850,France", "536365,10001,BLUE LANTERN,6,2010-12-02 08:26:00,2.55,17850,France",
		"536365,10001,OLD LANTERN,6,30/11/2010 8:26,2.55,17850,France")
	if code, stdout, stderr := ops(t, append([]string{"import-items", iso}, flags...)...); code != exitOK || s.items["10001"].Title != "BLUE LANTERN" {
		t.Errorf("iso: got exit code %d and item %+v:\n%s%s", code, s.items["10001"], stdout, stderr)
	}

	american := ledger(t, "536365,10002,RED LANTERN,6,12/1/2010 8:26,2.55,17850,France", "536366,10002,BLUE LANTERN,6,12/13/2010 8:26,2.55,17850,France")
	code, _, stderr := ops(t, append([]string{"import-items", american}, flags...)...)
	for _, want := range []string{"line 3", `"12/13/2010 8:26"`, "--date-format m/d/y", "nothing was imported"} {
		if code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("month over 12: got exit code %d and %q, want %q", code, stderr, want)
		}
	}
	if _, listed := s.items["10002"]; listed {
		t.Error("month over 12: got an imported item, want none")
	}
	if code, _, stderr := ops(t, append([]string{"import-items", american, "--date-format", "m/d/y"}, flags...)...); code != exitOK || s.items["10002"].Title != "BLUE LANTERN" {
		t.Errorf("m/d/y: got exit code %d and item %+v: %s", code, s.items["10002"], stderr)
	}
	if code, _, stderr := ops(t, append([]string{"import-items", american, "--date-format", "y-m-d"}, flags...)...); code != exitFailed ||
		!strings.Contains(stderr, "--date-format") || !strings.Contains(stderr, "want iso (2010-12-31), d/m/y (31/12/2010) or m/d/y (12/31/2010)") {
		t.Errorf("unknown format: got exit code %d and %q", code, stderr)
	}
	if _, help, _ := ops(t, "import-items", "--help"); !strings.Contains(words(help), "m/d/y (12/31/2010)") {
		t.Errorf("--help: got\n%s\nwant the formats", help)
	}
}

// Opening an input as the file of refused lines would empty it.
func TestImportRefusesToOverwriteItsInput(t *testing.T) {
	t.Parallel()
	s := &catalogue{items: map[string]inventory.Listing{}}
	flags := staffServer(t, s.put(t))
	file := ledger(t, "536365,10001,RED LANTERN,6,2010-12-01,2.55,17850,France")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(file)
	soft, hard := filepath.Join(dir, "soft.csv"), filepath.Join(dir, "hard.csv")
	if err := errors.Join(os.Symlink(file, soft), os.Link(file, hard)); err != nil {
		t.Fatal(err)
	}
	for _, refused := range []string{file, soft, hard} {
		code, _, stderr := ops(t, append([]string{"import-items", file, "--refused", refused}, flags...)...)
		after, err := os.ReadFile(file)
		if code != exitFailed || !strings.Contains(stderr, "--refused "+refused+" is the same file") || len(s.calls) > 0 || err != nil || !bytes.Equal(before, after) {
			t.Errorf("--refused %s: got exit code %d and %d bytes left of %d, error %v: %s", refused, code, len(after), len(before), err, stderr)
		}
	}
	ready := filepath.Join(dir, "ready.json")
	if err := os.WriteFile(ready, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := ops(t, "import-items", file, "--refused", ready, "--shop", ready); code != exitFailed || !strings.Contains(stderr, "the ready file") {
		t.Errorf("--refused with the ready file: got exit code %d and %q", code, stderr)
	}
}

func TestRefusedLinesAreNotFormulas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "refused.csv")
	texts := []string{"=HYPERLINK(1)", "+1", "-1", "@SUM", "\tx", "536365,POST", "'=1"}
	var lines []seed.Refusal
	for i, text := range texts {
		lines = append(lines, seed.Refusal{Line: i + 2, Reason: seed.NotGoods, Detail: text, Text: text})
	}
	if err := writeRefused(path, lines); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || len(rows) != 1+len(texts) {
		t.Fatalf("got %d rows, want %d; error %v", len(rows), 1+len(texts), err)
	}
	for i, row := range rows[1:] {
		for _, cell := range row[2:] {
			if strings.ContainsAny(cell[:1], "=+-@\t\r") || output.UnescapeCell(cell) != texts[i] {
				t.Errorf("got cell %q for %q, read back as %q", cell, texts[i], output.UnescapeCell(cell))
			}
		}
	}
}

func TestImportShowsProgressOfReadingAndImporting(t *testing.T) {
	t.Parallel()
	s := &catalogue{items: map[string]inventory.Listing{}}
	file := ledger(t, "536365,10001,RED LANTERN,6,2010-12-01,2.55,17850,France")
	var drawn bytes.Buffer
	args := append([]string{"import-items", file}, staffServer(t, s.put(t))...)
	if code := run(t.Context(), args, &terminal{out: io.Discard, err: &drawn, live: true}); code != exitOK {
		t.Fatalf("got exit code %d: %q", code, &drawn)
	}
	if at := strings.Index(drawn.String(), "reading ["); at < 0 || strings.Index(drawn.String(), "importing [") < at {
		t.Errorf("got %q, want a bar for reading and then one for importing", &drawn)
	}
}
