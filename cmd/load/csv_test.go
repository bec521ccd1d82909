package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/seed"
	"tillstream/cmd/internal/target"
)

// writeInvoices returns the path of a file with these lines.
func writeInvoices(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "invoices.csv")
	text := strings.Join(seed.Columns, ",") + "\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// shopWithOneItem is a server with a catalogue of one item, which is all that a plan reads.
func shopWithOneItem(t *testing.T) target.Shop {
	t.Helper()
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"items":[{"sku":"10001","price":{"amount":125,"currency":"GBP"},"available":5}]}`)
	}))
	t.Cleanup(shop.Close)
	return target.Shop{Storefront: shop.URL, Stripe: shop.URL, NATS: "nats://127.0.0.1:1", MongoDB: "mongodb://127.0.0.1:1/", StripeSecretKey: "sk_test_x"}
}

func planned(t *testing.T, args ...string) (plan, error) {
	t.Helper()
	c, err := parse(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.open(t.Context(), shopWithOneItem(t), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return c.plan(s)
}

// A file without sales is refused before the run, for every reason.
func TestFileWithoutSalesIsNotBought(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ line, text string }{
		"OnlyHeader": {"", "nothing in the file can be bought"},
		"Postage":    {"1,POST,POSTAGE,1,2010-12-01,18,,France", "nothing in the file can be bought"},
		"NoCountry":  {"1,10001,MUG,1,2010-12-01,1.25,,Unspecified", "nothing in the file can be bought"},
		"NotListed":  {"1,10002,LAMP,1,2010-12-01,1.25,,France", "ops import-items"},
	} {
		path := writeInvoices(t, test.line)
		if _, err := planned(t, "--csv", path); !errors.Is(err, loadgen.ErrNoSales) || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want ErrNoSales with the path and %q", name, err, test.text)
		}
	}
}

func TestInvoiceDatesAreReadInTheGivenFormat(t *testing.T) {
	t.Parallel()
	american := writeInvoices(t, "1,10001,MUG,1,12/1/2010 8:26,1.25,,France", "2,10001,MUG,1,12/13/2010 8:26,1.25,,France")
	_, err := planned(t, "--csv", american)
	for _, part := range []string{american, "line 3", `"12/13/2010 8:26"`, "--date-format m/d/y"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("month over 12: got %v, want an error with %q", err, part)
		}
	}
	if p, err := planned(t, "--csv", american, "--date-format", "m/d/y"); err != nil || p.orders != 2 || p.dates != seed.MonthFirst {
		t.Errorf("m/d/y: got %d orders, %v, want 2", p.orders, err)
	}
	if p, err := planned(t, "--csv", writeInvoices(t, "1,10001,MUG,1,2010-12-01 08:26:00,1.25,,France")); err != nil || p.orders != 1 {
		t.Errorf("iso: got %d orders, %v, want 1", p.orders, err)
	}
	if _, err := parse(t, "--csv", american, "--date-format", "y/m/d"); err == nil || !strings.Contains(err.Error(), "want iso (2010-12-31)") {
		t.Errorf("unknown format: got %v, want an error with the known ones", err)
	}
	c, err := parse(t, "--date-format", "iso")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.run(t.Context(), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "--csv") {
		t.Errorf("--date-format without --csv: got %v, want an error that names --csv", err)
	}
}

// An output must not overwrite an input or the other output.
func TestOutputOverInputIsRefused(t *testing.T) {
	t.Parallel()
	file := writeInvoices(t, "1,10001,MUG,1,2010-12-01,1.25,,France")
	dir := filepath.Dir(file)
	soft, hard, ready, list := filepath.Join(dir, "soft"), filepath.Join(dir, "hard"), filepath.Join(dir, "ready.json"), filepath.Join(dir, "list")
	if err := errors.Join(os.Symlink(file, soft), os.Link(file, hard), os.WriteFile(ready, []byte("{}"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"ReportItself": {"--csv", file, "--json", file}, "ReportSoftLink": {"--csv", file, "--json", soft}, "ReportHardLink": {"--csv", hard, "--json", file},
		"ListItself": {"--csv", file, "--acknowledged", file}, "ListSoftLink": {"--csv", file, "--acknowledged", soft},
		"ReadyFile": {"--shop", ready, "--json", ready}, "ReadyFileList": {"--shop", ready, "--acknowledged", ready},
		"BothOutputs": {"--acknowledged", list, "--json", list},
	} {
		c, err := parse(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.run(t.Context(), io.Discard, io.Discard); !errors.Is(err, output.ErrSameFile) {
			t.Errorf("%s: got %v, want ErrSameFile", name, err)
		}
	}
	if data, err := os.ReadFile(file); err != nil || !strings.Contains(string(data), "MUG") {
		t.Errorf("file: got %q, %v, want it unchanged", data, err)
	}
}
