package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLinesOfAParcel(t *testing.T) {
	t.Parallel()
	c := fulfilCommand{Lines: []string{"MUG=2", "A=B=1"}, Carrier: "Post", Final: true}
	got, err := c.request()
	want := map[string]any{"carrier": "Post", "tracking": "", "final": true,
		"lines": []map[string]any{{"sku": "MUG", "quantity": int64(2)}, {"sku": "A=B", "quantity": int64(1)}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("request: %v; want-, got+:\n%s", err, diff)
	}
	for _, line := range []string{"MUG", "=1", "MUG=0", "MUG=x"} {
		c.Lines = []string{line}
		if _, err := c.request(); err == nil {
			t.Errorf("--line %s: got no error, want one", line)
		}
	}
}
