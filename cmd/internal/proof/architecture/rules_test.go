package architecture

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// validTree is a small tree that keeps every rule.
func validTree() fstest.MapFS {
	return fstest.MapFS{
		".gitignore":              text("/data/\n*.test\n"),
		".golangci.yml":           text(`files: ["${config-path}/orders/decide.go", "${config-path}/cmd/**"]` + "\n"),
		"README.md":               text("Its data is in /var/lib, its pages at https://shop.example/home/tea.\n"),
		"data/secrets.go":         text("{ not Go"),
		"orders/decide.go":        text("package orders\n"),
		"shop":                    {Data: []byte("a binary"), Mode: 0o755},
		"cmd/internal/a/main.go":  text("type s struct { A string `env:\"NATS_URL\"` }\nconst lag = \"tillstream_lane_lag_events\"\n"),
		"deploy/nats.conf":        text("server_name: $NATS_NAME\n"),
		"deploy/compose.yaml":     text("environment: {NATS_NAME: n}\nenv:\n  - {name: NATS_URL, value: x}\nexpr: tillstream_lane_lag_events > 1\n"),
		"notifications/worker.go": text("package notifications\n"),
	}
}

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: 0o644} }

// broken returns what breaks each rule in a tree.
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

func TestValidTreeBreaksNoRule(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(map[string][]string{}, broken(t, validTree())); diff != "" {
		t.Errorf("broken rules (-want +got):\n%s", diff)
	}
}

func TestEachRuleFindsItsViolations(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		path string
		file *fstest.MapFile
		rule string
		want string
	}{
		"FolderAtTheTop":   {"scripts/a.sh", text(""), "TopLevel", "scripts/: not allowed"},
		"FileAtTheTop":     {"Makefile", text(""), "TopLevel", "Makefile: not allowed"},
		"RenamedFile":      {".golangci.yml", text(`files: ["${config-path}/orders/gone.go"]`), "LintNamesExistingFiles", "names orders/gone.go"},
		"HomePath":         {"deploy/a.yaml", text("a: 1\nvolume: /" + "home/me/data\n"), "NoTracesOfAMachine", "deploy/a.yaml:2"},
		"HiddenFolder":     {".ci/run", text("cd /" + "work/tree\n"), "NoTracesOfAMachine", ".ci/run:1"},
		"PackageHost":      {"README.md", text("GOPROXY=https://proxy." + "golang.org\n"), "NoTracesOfAMachine", "one machine"},
		"RetiredType":      {"orders/a.go", text("type OrderRememberer struct{}\n"), "NoRetiredWords", "orders/a.go:1"},
		"RetiredMethod":    {"orders/a.go", text("// a\nfunc (Order) Evolve() {}\n"), "NoRetiredWords", "orders/a.go:2"},
		"RetiredWord":      {"deploy/a.md", text("The event is parked.\n"), "NoRetiredWords", "glossary"},
		"RetiredFunction":  {"events/log/a.go", text("func LookElsewhere() {}\n"), "NoRetiredWords", "events/log/a.go:1"},
		"RetiredOption":    {"events/log/a.go", text("tx.Traced(parent)\n"), "NoRetiredWords", "events/log/a.go:1"},
		"RenamedMetric":    {"deploy/a.yaml", text("expr: rate(tillstream_lane_lag_seconds_sum[1m])\n"), "DeployNamesWhatExists", "names tillstream_lane_lag_seconds,"},
		"RenamedSetting":   {"deploy/a.env", text("# NATS_NOT=1\nNATS_ADDRESS=\n"), "DeployNamesWhatExists", "names NATS_ADDRESS,"},
		"RenamedInYAML":    {"deploy/a.yaml", text("env: {LOG_FORMAT: x}\n"), "DeployNamesWhatExists", "names LOG_FORMAT,"},
		"RenamedInList":    {"deploy/a.yaml", text("- {name: LOG_FORMAT, value: x}\n"), "DeployNamesWhatExists", "names LOG_FORMAT,"},
		"RenamedInRunbook": {"deploy/runbook.md", text("Raise `LOG_FORMAT` or `NATS_URL`, see `tillstream_lane_lag_events`.\n"), "DeployNamesWhatExists", "names LOG_FORMAT,"},
		"MetricInReadme":   {"README.md", text("Alert on `tillstream_lane_gone`.\n"), "DeployNamesWhatExists", "names tillstream_lane_gone,"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := validTree()
			tree[test.path] = test.file
			found := broken(t, tree)
			if len(found) != 1 || !strings.Contains(strings.Join(found[test.rule], "\n"), test.want) {
				t.Errorf("got %v, want only %s with %q", found, test.rule, test.want)
			}
		})
	}
}
