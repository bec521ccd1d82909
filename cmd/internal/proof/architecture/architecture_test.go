package architecture

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const root = "../../../.."

func TestThisRepository(t *testing.T) {
	t.Parallel()
	tree, err := Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Texts) < 300 {
		t.Fatalf("only %d files were found: is %s still the root?", len(tree.Texts), root)
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

// servers are the packages that bring a server into the process, and what only tests need.
var servers = []string{module + "/events/embedded", module + "/payments/sandbox", module + "/notifications/inbox",
	"github.com/nats-io/nats-server", "github.com/FerretDB/FerretDB", "github.com/emersion/go-smtp"}

func linkedServers(t *testing.T, program string) []string {
	t.Helper()
	return slices.DeleteFunc(list(t, "-deps", program), func(linked string) bool {
		return linked != "testing" && !slices.ContainsFunc(servers, func(server string) bool { return within(linked, server) })
	})
}

// within reports whether a package is another one or stands below it.
func within(linked, parent string) bool {
	return linked == parent || strings.HasPrefix(linked, parent+"/")
}

// The import rules of the linter look at source files. This test looks at what is linked, through any number of imports.
func TestProductionProgramsLinkNoServer(t *testing.T) {
	t.Parallel()
	programs := list(t, "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "./cmd/...")
	for _, name := range []string{"orders", "inventory", "payments", "notifications", "storefront", "ops", "load", "shop"} {
		if !slices.Contains(programs, module+"/cmd/"+name) {
			t.Errorf("there is no program cmd/%s", name)
		}
	}
	for _, program := range programs {
		if program == module+"/cmd/shop" || program == module+"/cmd/load" || within(program, module+"/cmd/internal/proof") {
			continue
		}
		if linked := linkedServers(t, program); len(linked) > 0 {
			t.Errorf("%s links %s", program, strings.Join(linked, ", "))
		}
	}
	if linked := linkedServers(t, module+"/cmd/shop"); len(linked) < len(servers) || slices.Contains(linked, "testing") {
		t.Errorf("cmd/shop links %s, want the servers and not testing", linked)
	}
}

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
