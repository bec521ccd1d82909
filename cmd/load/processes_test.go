//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A run with --processes makes every purchase and prints the usual report.
func TestBuyFromOwnShop(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a shop of eleven processes")
	}
	file, dir := filepath.Join(t.TempDir(), "report.json"), t.TempDir()
	c, err := parse(t, "--processes", "--orders", "12", "--concurrency", "4", "--bin", programs(t), "--keep", dir, "--json", file)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.run(t.Context(), &out, t.Output()); err != nil {
		t.Fatalf("%v\n%s%s", err, out.Bytes(), logTail(t, dir))
	}
	t.Logf("%s", out.Bytes())
	for _, want := range []string{"12 complete purchases", "orders/s", "placed to confirmed", "no errors", "every checked invariant holds"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	var report struct {
		Orders int
		Falls  map[string]int
		Verify struct{ OK bool }
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	if report.Orders != 12 || len(report.Falls) > 0 || !report.Verify.OK {
		t.Errorf("got report %s, want 12 orders, no unexpected exits and no findings", data)
	}
}
