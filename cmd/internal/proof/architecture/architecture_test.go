package architecture

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const root = "../../../.."

// loadRepository reads this repository.
func loadRepository(t *testing.T) Tree {
	t.Helper()
	tree, err := Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestRepositoryKeepsRules(t *testing.T) {
	t.Parallel()
	tree := loadRepository(t)
	if len(tree.Texts) < 300 {
		t.Fatalf("got %d files, want at least 300: is %s still the root?", len(tree.Texts), root)
	}
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			t.Parallel()
			for _, wrong := range rule.Check(tree) {
				t.Error(wrong)
			}
		})
	}
}

const module = "tillstream"

// servers are the packages that embed a server, and those that only FerretDB needs.
var servers = []string{module + "/events/embedded", module + "/payments/sandbox", module + "/notifications/inbox",
	"github.com/nats-io/nats-server", "github.com/FerretDB/FerretDB", "github.com/emersion/go-smtp",
	"github.com/go-sql-driver/mysql", "github.com/jackc/pgx", "google.golang.org/grpc", "modernc.org"}

// linkedServers returns the packages of servers that a program links, and package testing.
func linkedServers(t *testing.T, program string) []string {
	t.Helper()
	return slices.DeleteFunc(list(t, "-deps", program), func(linked string) bool {
		return linked != "testing" && !slices.ContainsFunc(servers, func(server string) bool { return within(linked, server) })
	})
}

// within reports whether a package is parent or below it.
func within(linked, parent string) bool {
	return linked == parent || strings.HasPrefix(linked, parent+"/")
}

// The linter checks the imports of source files. This test checks what programs link through any number of imports.
func TestProductionProgramsLinkNoServer(t *testing.T) {
	t.Parallel()
	programs := list(t, "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "./cmd/...")
	for _, name := range []string{"orders", "inventory", "payments", "notifications", "storefront", "ops", "load", "shop"} {
		if !slices.Contains(programs, module+"/cmd/"+name) {
			t.Errorf("cmd/%s: got no program", name)
		}
	}
	for _, program := range programs {
		if program == module+"/cmd/shop" || program == module+"/cmd/load" || within(program, module+"/cmd/internal/proof") {
			continue
		}
		if linked := linkedServers(t, program); len(linked) > 0 {
			t.Errorf("%s: got linked packages %s, want no server", program, strings.Join(linked, ", "))
		}
	}
	if linked := linkedServers(t, module+"/cmd/shop"); len(linked) < len(servers) || slices.Contains(linked, "testing") {
		t.Errorf("cmd/shop: got linked packages %s, want all servers and not testing", linked)
	}
}

// list runs go list in the root of the repository.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v: %s", strings.Join(args, " "), err, &stderr)
	}
	return strings.Fields(string(out))
}
