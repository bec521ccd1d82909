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

// A plain run in the shape of production: every purchase that was asked for is made, in a shop of many processes, and
// what is printed is what any run prints.
func TestBuyFromManyProcesses(t *testing.T) {
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
		t.Fatalf("%v\n%s%s", err, out.Bytes(), lastWords(t, dir))
	}
	t.Logf("%s", out.Bytes())
	for _, want := range []string{"12 complete purchases", "orders/s", "placed to confirmed", "no errors", "every invariant that was checked holds"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, out.String())
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
		t.Errorf("the report is %s", data)
	}
}
