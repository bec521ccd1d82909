package architecture

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const root = "../../.."

func TestThisRepository(t *testing.T) {
	t.Parallel()
	tree, err := Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Sources) < 100 {
		t.Fatalf("only %d Go files were found: is %s still the root?", len(tree.Sources), root)
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

// What is linked decides, however it was imported.
func TestProgramsCarryNoServer(t *testing.T) {
	t.Parallel()
	programs := list(t, "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "./cmd/...")
	for _, name := range []string{"orders", "inventory", "payments", "notifications", "storefront", "ops", "load", "shop"} {
		if !slices.Contains(programs, Module+"/cmd/"+name) {
			t.Errorf("there is no program cmd/%s", name)
		}
	}
	carriesServer := func(program string) []string {
		return slices.DeleteFunc(list(t, "-deps", program), func(linked string) bool {
			return linked != "testing" && !withinAny(linked, Embedded) && !withinAny(linked, Servers)
		})
	}
	for _, program := range programs {
		if program == Module+"/cmd/shop" || program == Driver || within(program, Rig) {
			continue
		}
		if linked := carriesServer(program); len(linked) > 0 {
			t.Errorf("%s links %s", program, strings.Join(linked, ", "))
		}
	}
	if linked := carriesServer(Module + "/cmd/shop"); len(linked) < len(Embedded)+len(Servers) {
		t.Errorf("cmd/shop links only %s: this test no longer sees what it looks for", linked)
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
