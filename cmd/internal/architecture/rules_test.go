package architecture

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// sound is a small tree that keeps every rule; each case below breaks one of them.
func sound() fstest.MapFS {
	tree := fstest.MapFS{
		".gitignore":                   text("/data/\n*.test\n"),
		".ci/run":                      text("go test ./...\n"),
		"README.md":                    text("Its data is in /var/lib, its pages at https://shop.example/home/tea.\n"),
		"data/secrets.go":              text("not Go at all"),
		"orders/api.test":              text("not here"),
		"shop":                         {Data: []byte("a program that a build left"), Mode: 0o755},
		"cmd/shop/main.go":             source("main", `import (_ "tillstream/events/embedded"; _ "tillstream/orders"; "os")`, "var _ = os.Args"),
		"events/embedded/nats.go":      source("embedded", `import _ "github.com/nats-io/nats-server/v2/server"`),
		"events/log/logtest/kit.go":    source("logtest", `import (_ "testing"; _ "tillstream/events/embedded"; "os")`, `var _ = os.Getenv("TEST")`),
		"events/log/log_test.go":       source("log_test", `import (_ "tillstream/events/log/logtest"; "os")`, `var _ = os.Getenv("TEST")`),
		"payments/stripe_refund.go":    source("payments", `import _ "github.com/stripe/stripe-go/v76"`),
		"payments/sandbox/sandbox.go":  source("sandbox", `import _ "github.com/stripe/stripe-go/v76"`),
		"cmd/load/main.go":             source("main", `import (_ "github.com/Shopify/toxiproxy/v2"; _ "tillstream/cmd/internal/fleet")`),
		"cmd/internal/fleet/fleet.go":  source("fleet", `import _ "tillstream/payments/sandbox"`),
		"cmd/internal/process/main.go": source("process", "type s struct { A string `env:\"NATS_URL\"` }", `const lag = "tillstream_lane_lag_events"`),
		"deploy/nats.conf":             text("server_name: $NATS_NAME\n"),
		"deploy/compose.yaml":          text("environment: {NATS_NAME: n}\nenv:\n  - {name: NATS_URL, value: x}\nexpr: tillstream_lane_lag_events > 1\n"),
		"notifications/worker.go":      source("notifications", `import _ "tillstream/events/log"`),
	}
	for _, name := range pureFiles {
		tree[name] = source(strings.Split(name, "/")[0], `import (_ "tillstream/events"; "time")`, "var _ = time.Hour")
	}
	return tree
}

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: 0o644} }

func source(pkg string, rest ...string) *fstest.MapFile {
	return text("package " + pkg + "\n" + strings.Join(rest, "\n") + "\n")
}

func broken(t *testing.T, tree fs.FS) map[string][]string {
	t.Helper()
	loaded, err := Load(tree)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, rule := range Rules() {
		if wrong := rule.Check(loaded); len(wrong) > 0 {
			found[rule.Name] = wrong
		}
	}
	return found
}

func TestASoundTreeBreaksNoRule(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(map[string][]string{}, broken(t, sound())); diff != "" {
		t.Error(diff)
	}
}

func TestEachRuleFindsWhatBreaksIt(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		path string
		file *fstest.MapFile
		rule string
		want string
	}{
		"FolderAtTheTop":     {"scripts/a.sh", text(""), "TopLevel", "scripts/: does not belong"},
		"FileAtTheTop":       {"Makefile", text(""), "TopLevel", "Makefile: does not belong"},
		"DomainToDomain":     {"orders/worker.go", source("orders", `import _ "tillstream/payments"`), "DomainsApart", "only by events"},
		"DomainTestToDomain": {"orders/a_test.go", source("orders", `import _ "tillstream/payments/sandbox"`), "DomainsApart", "only by events"},
		"EventsToDomain":     {"events/log/a.go", source("log", `import _ "tillstream/orders"`), "DomainsApart", "knows none"},
		"DecisionWithLog":    {"orders/decide.go", source("orders", `import _ "tillstream/events/log"`), "PureDecisions", "functions of values"},
		"DecisionWithClock":  {"orders/order.go", source("orders", `import clock "time"`, "var _ = clock.Now()"), "PureDecisions", "names time.Now"},
		"FlagInDomain":       {"orders/worker.go", source("orders", `import _ "flag"`), "OnlyCmdReadsTheEnvironment", "imports flag"},
		"EnvironInDomain":    {"orders/worker.go", source("orders", `import "os"`, `var _ = os.Getenv("A")`), "OnlyCmdReadsTheEnvironment", "names os.Getenv"},
		"DomainOnProgram":    {"orders/worker.go", source("orders", `import _ "tillstream/cmd/shop"`), "OnlyCmdReadsTheEnvironment", "nothing stands on"},
		"StripeInOrders":     {"orders/pay.go", source("orders", `import _ "github.com/stripe/stripe-go/v76/refund"`), "OnlyPaymentsNamesStripe", "orders/pay.go"},
		"StripeInWorker":     {"payments/worker.go", source("payments", `import _ "github.com/stripe/stripe-go/v76"`), "OnlyPaymentsNamesStripe", "gateway"},
		"ServerInWorker":     {"cmd/orders/main.go", source("main", `import _ "tillstream/events/embedded"`), "ServersBelongToTheShop", "cmd/shop and to tests"},
		"ServerNamed":        {"cmd/shop/nats.go", source("main", `import _ "github.com/nats-io/nats-server/v2/server"`), "ServersBelongToTheShop", "are started by"},
		"RigInProgram":       {"cmd/ops/main.go", source("main", `import _ "tillstream/cmd/internal/fleet"`), "TheRigBelongsToLoad", "cmd/load and by tests"},
		"ToxicInRig":         {"cmd/internal/fleet/a.go", source("fleet", `import _ "github.com/Shopify/toxiproxy/v2"`), "TheRigBelongsToLoad", "only cmd/load"},
		"ServerInRig":        {"cmd/internal/fleet/a.go", source("fleet", `import _ "github.com/FerretDB/FerretDB/ferretdb"`), "ServersBelongToTheShop", "are started by"},
		"KitInProgram":       {"cmd/shop/kit.go", source("main", `import _ "tillstream/events/log/logtest"`), "TestKitsBelongToTests", "stays out"},
		"Init":               {"orders/worker.go", source("orders", "func init() {}"), "NoInit", "has an init"},
		"SleepingTest":       {"orders/a_test.go", source("orders", `import "time"`, "func f() { time.Sleep(1) }"), "TestsDoNotSleep", "wait for a fact"},
		"NamelessPackage":    {"cmd/internal/util/a.go", source("util"), "PackagesHaveNames", "package util"},
		"HomePath":           {"deploy/a.yaml", text("a: 1\nvolume: /" + "home/me/data\n"), "NoTracesOfAMachine", "deploy/a.yaml:2"},
		"HiddenFolder":       {".ci/run", text("cd /" + "work/tree\n"), "NoTracesOfAMachine", ".ci/run:1"},
		"PackageHost":        {"README.md", text("GOPROXY=https://proxy." + "golang.org\n"), "NoTracesOfAMachine", "one machine"},
		"RenamedMetric":      {"deploy/a.yaml", text("expr: rate(tillstream_lane_lag_seconds_sum[1m])\n"), "DeployNamesWhatExists", "of tillstream_lane_lag_seconds,"},
		"RenamedSetting":     {"deploy/a.env", text("# NATS_NOT=1\nNATS_ADDRESS=\n"), "DeployNamesWhatExists", "of NATS_ADDRESS,"},
		"RenamedInYAML":      {"deploy/a.yaml", text("env: {LOG_FORMAT: x}\n"), "DeployNamesWhatExists", "of LOG_FORMAT,"},
		"RenamedInList":      {"deploy/a.yaml", text("- {name: LOG_FORMAT, value: x}\n"), "DeployNamesWhatExists", "of LOG_FORMAT,"},
		"RenamedInRunbook":   {"deploy/runbook.md", text("Raise `LOG_FORMAT` or `NATS_URL`, see `tillstream_lane_lag_events`.\n"), "DeployNamesWhatExists", "of LOG_FORMAT,"},
		"MetricInReadme":     {"README.md", text("Alert on `tillstream_lane_gone`.\n"), "DeployNamesWhatExists", "of tillstream_lane_gone,"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := sound()
			tree[test.path] = test.file
			found := broken(t, tree)
			if len(found) != 1 || !strings.Contains(strings.Join(found[test.rule], "\n"), test.want) {
				t.Errorf("found %v, want only %s to say %q", found, test.rule, test.want)
			}
		})
	}
}

func TestAMissingPureFileIsNoticed(t *testing.T) {
	t.Parallel()
	tree := sound()
	delete(tree, "orders/decide.go")
	if found := broken(t, tree); len(found["PureDecisions"]) != 1 {
		t.Errorf("found %v", found)
	}
}

func TestASyntaxErrorIsAnError(t *testing.T) {
	t.Parallel()
	tree := sound()
	tree["orders/http.go"] = text("package")
	if _, err := Load(tree); err == nil || !strings.Contains(err.Error(), "orders/http.go") {
		t.Errorf("error %v, want one that names the file", err)
	}
}
