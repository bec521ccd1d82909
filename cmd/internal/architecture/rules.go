package architecture

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Rule is one thing that must hold. Check returns what breaks it, a line each.
type Rule struct {
	Name  string
	Check func(Tree) []string
}

// Rules are all of them.
func Rules() []Rule {
	return []Rule{
		{"TopLevel", topLevel},
		{"DomainsApart", domainsApart},
		{"PureDecisions", pureDecisions},
		{"OnlyCmdReadsTheEnvironment", onlyCmdReadsTheEnvironment},
		{"OnlyPaymentsNamesStripe", onlyPaymentsNamesStripe},
		{"ServersBelongToTheShop", serversBelongToTheShop},
		{"TheRigBelongsToLoad", theRigBelongsToLoad},
		{"TestKitsBelongToTests", testKitsBelongToTests},
		{"NoInit", noInit},
		{"TestsDoNotSleep", testsDoNotSleep},
		{"PackagesHaveNames", packagesHaveNames},
		{"NoTracesOfAMachine", noTracesOfAMachine},
		{"DeployNamesWhatExists", deployNamesWhatExists},
	}
}

// Domains are the packages that know each other only by events.
var Domains = []string{"orders", "inventory", "payments", "notifications"}

// Embedded are the packages that stand in for a server, as import paths.
var Embedded = []string{Module + "/events/embedded", Module + "/payments/sandbox", Module + "/notifications/inbox"}

// Rig is the package that runs a whole shop in order to hurt it, and Driver the program that does so. Beside cmd/shop they
// alone may carry what stands in for a server: neither is ever deployed.
const (
	Rig    = Module + "/cmd/internal/fleet"
	Driver = Module + "/cmd/load"
)

// Toxic is the module that breaks connections.
const Toxic = "github.com/Shopify/toxiproxy"

// Servers are the modules that only those may name: each brings a whole server into the process.
var Servers = []string{"github.com/nats-io/nats-server", "github.com/FerretDB/FerretDB", "github.com/emersion/go-smtp"}

func topLevel(t Tree) []string {
	allowed := []string{"cmd/", "orders/", "payments/", "inventory/", "notifications/", "events/", "deploy/", "go.mod", "go.sum", "README.md"}
	var wrong []string
	for _, name := range t.Top {
		if !strings.HasPrefix(name, ".") && !slices.Contains(allowed, name) {
			wrong = append(wrong, name+": does not belong at the top level")
		}
	}
	return wrong
}

func domainsApart(t Tree) []string {
	return t.imports(func(s Source, imported string) string {
		from, to := strings.Split(s.Path, "/")[0], strings.TrimPrefix(imported, Module+"/")
		to, _, _ = strings.Cut(to, "/")
		switch {
		case !strings.HasPrefix(imported, Module+"/") || from == "cmd" || from == to || !slices.Contains(Domains, to):
			return ""
		case slices.Contains(Domains, from):
			return "domains know each other only by events"
		}
		return "what domains stand on knows none of them"
	})
}

// pureFiles hold values and functions of values: every decide.go, and the entities.
var pureFiles = []string{
	"orders/decide.go", "orders/order.go",
	"inventory/decide.go", "inventory/item.go", "inventory/stock.go", "inventory/reservation.go",
	"payments/decide.go", "payments/payment.go",
	"notifications/decide.go", "notifications/notification.go", "notifications/facts.go",
}

// pureImports do no I/O. A package joins this list only after a look at all it can do.
var pureImports = []string{"cmp", "errors", "fmt", "maps", "regexp", "slices", "strconv", "strings", "time", Module + "/events",
	"github.com/go-json-experiment/json"}

// impure are the functions of pure packages that are not.
var impure = []string{"time.Now", "time.Since", "time.Until", "time.After", "time.AfterFunc", "time.Tick", "time.NewTimer", "time.NewTicker", "time.Sleep",
	"fmt.Print", "fmt.Printf", "fmt.Println"}

func pureDecisions(t Tree) []string {
	wrong := t.imports(func(s Source, imported string) string {
		if !slices.Contains(pureFiles, s.Path) || slices.Contains(pureImports, imported) {
			return ""
		}
		return "decisions and entities are functions of values"
	})
	seen := map[string]bool{}
	for _, s := range t.Sources {
		seen[s.Path] = true
		if slices.Contains(pureFiles, s.Path) {
			wrong = append(wrong, calls(s, "time is an argument, and nothing is printed", impure...)...)
		}
	}
	for _, name := range pureFiles {
		if !seen[name] { // renamed: the list above would guard nothing
			wrong = append(wrong, name+": is not there, but a rule is about it")
		}
	}
	return wrong
}

func onlyCmdReadsTheEnvironment(t Tree) []string {
	wrong := t.imports(func(s Source, imported string) string {
		switch {
		case s.Test || strings.HasPrefix(s.Path, "cmd/"):
			return ""
		case imported == "flag", imported == "os/signal", within(imported, "github.com/alecthomas/kong"):
			return "only cmd reads flags and hears signals"
		case within(imported, Module+"/cmd"):
			return "nothing stands on a program"
		}
		return ""
	})
	kits := t.kits() // read settings such as TEST_MONGODB_URI, as the tests do that they belong to
	for _, s := range t.Sources {
		if !s.Test && !kits[path.Join(Module, s.Dir())] && !strings.HasPrefix(s.Path, "cmd/") {
			wrong = append(wrong, calls(s, "only cmd reads the environment and ends the process",
				"os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv", "os.Setenv", "os.Unsetenv", "os.Args", "os.Exit")...)
		}
	}
	return wrong
}

func onlyPaymentsNamesStripe(t Tree) []string {
	may := regexp.MustCompile(`^payments/((stripe|webhook)[^/]*\.go|sandbox/.*)$`)
	return t.imports(func(s Source, imported string) string {
		if !within(imported, "github.com/stripe/stripe-go") || may.MatchString(s.Path) {
			return ""
		}
		return "Stripe is spoken to through the gateway of payments"
	})
}

func serversBelongToTheShop(t Tree) []string {
	kits := t.kits()
	return t.imports(func(s Source, imported string) string {
		here := path.Join(Module, s.Dir())
		if s.Test || kits[here] || withinAny(here, Embedded) || withinAny(here, []string{Rig, Driver}) && !withinAny(imported, Servers) {
			return ""
		}
		switch {
		case withinAny(imported, Servers):
			return "servers are started by the embedded packages"
		case withinAny(imported, Embedded) && !within(here, Module+"/cmd/shop"):
			return "embedded servers belong to cmd/shop and to tests"
		}
		return ""
	})
}

func theRigBelongsToLoad(t Tree) []string {
	kits := t.kits()
	return t.imports(func(s Source, imported string) string {
		here := path.Join(Module, s.Dir())
		switch {
		case within(here, Driver):
		case within(imported, Toxic):
			return "only cmd/load breaks connections"
		case within(imported, Rig) && !s.Test && !kits[here] && !within(here, Rig):
			return "whole shops are run by cmd/load and by tests"
		}
		return ""
	})
}

func testKitsBelongToTests(t Tree) []string {
	kits := t.kits()
	return t.imports(func(s Source, imported string) string {
		if s.Test || !kits[imported] || kits[path.Join(Module, s.Dir())] {
			return ""
		}
		return "a test kit stays out of programs"
	})
}

func noInit(t Tree) []string {
	var wrong []string
	for _, s := range t.Sources {
		if s.Inits > 0 {
			wrong = append(wrong, s.Path+": has an init: what runs before main can be neither configured nor tested")
		}
	}
	return wrong
}

func testsDoNotSleep(t Tree) []string {
	var wrong []string
	for _, s := range t.Sources {
		if s.Test {
			wrong = append(wrong, calls(s, "wait for a fact", "time.Sleep")...)
		}
	}
	return wrong
}

func packagesHaveNames(t Tree) []string {
	empty := []string{"base", "common", "helper", "helpers", "misc", "model", "models", "shared", "types", "util", "utils"}
	var wrong []string
	for _, s := range t.Sources {
		if name := strings.TrimSuffix(s.Package, "_test"); slices.Contains(empty, name) {
			wrong = append(wrong, s.Path+": package "+name+": say what it is about")
		}
	}
	return wrong
}

// traces are paths that exist on one machine only, and the addresses that one machine gets its packages from.
var traces = regexp.MustCompile(`(?m)(^|[^A-Za-z0-9_.~)}\]>/-])/(work|root|home|Users)/[A-Za-z0-9_.]|[A-Z]:\\Users\\` +
	`|(proxy|sum)\.golang\.org|registry\.npmjs\.org|deb\.debian\.org|files\.pythonhosted\.org`)

func noTracesOfAMachine(t Tree) []string {
	var wrong []string
	for _, text := range t.Texts {
		for _, at := range traces.FindAllIndex(text.Content, -1) {
			line := 1 + strings.Count(string(text.Content[:at[0]+1]), "\n")
			wrong = append(wrong, fmt.Sprintf("%s:%d: %q is true on one machine only", text.Path, line, strings.TrimSpace(string(text.Content[at[0]:at[1]]))))
		}
	}
	return wrong
}

// imports asks of every import whether it is wrong, and why.
func (t Tree) imports(why func(s Source, imported string) string) []string {
	var wrong []string
	for _, s := range t.Sources {
		for _, imported := range s.Imports {
			if reason := why(s, imported); reason != "" {
				wrong = append(wrong, s.Path+": imports "+imported+": "+reason)
			}
		}
	}
	return wrong
}

// kits are the packages made for tests: they import testing though they are no test themselves.
func (t Tree) kits() map[string]bool {
	kits := map[string]bool{}
	for _, s := range t.Sources {
		if !s.Test && slices.Contains(s.Imports, "testing") {
			kits[path.Join(Module, s.Dir())] = true
		}
	}
	return kits
}

func calls(s Source, why string, names ...string) []string {
	var wrong []string
	for _, call := range s.Calls {
		if slices.Contains(names, call) {
			wrong = append(wrong, s.Path+": names "+call+": "+why)
		}
	}
	return wrong
}

// within reports whether a package is another one or stands below it.
func within(imported, parent string) bool {
	return imported == parent || strings.HasPrefix(imported, parent+"/")
}

func withinAny(imported string, parents []string) bool {
	return slices.ContainsFunc(parents, func(parent string) bool { return within(imported, parent) })
}
