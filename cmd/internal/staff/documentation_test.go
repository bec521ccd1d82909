package staff

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events/api"
)

// The table in deploy/README.md is the permission table.
func TestDocumentedPermissionsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| permission | allows | viewer | operator | admin |\n|---|---|---|---|---|\n")
	var got, want [][]string
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.TrimSpace(line), "|")
		row := []string{strings.Trim(cells[1], " `")}
		for i, role := range api.Roles {
			if strings.TrimSpace(cells[3+i]) == "yes" {
				row = append(row, string(role))
			}
		}
		got = append(got, row)
	}
	for _, permission := range api.Permissions() {
		row := []string{string(permission)}
		for _, role := range api.Roles {
			if slices.Contains(role.Permissions(), permission) {
				row = append(row, string(role))
			}
		}
		want = append(want, row)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deploy/README.md (-want +got):\n%s", diff)
	}
}
