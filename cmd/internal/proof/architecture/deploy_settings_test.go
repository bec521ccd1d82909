package architecture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The settings of a program are tags of a struct, which embeds structs of package process.
var (
	structType  = regexp.MustCompile(`(?ms)^type (\w+) struct \{\n(.*?)^\}`)
	embedded    = regexp.MustCompile("(?m)^\t(?:\\w+ +)?(?:process\\.)?(\\w+) +`embed")
	settingTag  = regexp.MustCompile("env:\"([A-Z0-9_]+)\"([^`]*)`")
	required    = `required:""`
	substituted = regexp.MustCompile(`\$\{([A-Z0-9_]+)(:-)?`)
)

// settingsOf returns the settings of a program, and whether each is required.
func settingsOf(t *testing.T, tree Tree, program string) map[string]bool {
	t.Helper()
	types := map[string]string{}
	read := func(dir string) {
		for _, text := range tree.Texts {
			if path.Dir(text.Path) == dir && strings.HasSuffix(text.Path, ".go") && !strings.HasSuffix(text.Path, "_test.go") {
				for _, found := range structType.FindAllStringSubmatch(string(text.Content), -1) {
					types[found[1]] = found[2]
				}
			}
		}
	}
	read("cmd/internal/process")
	read("cmd/" + program)
	settings := map[string]bool{}
	var collect func(name string)
	collect = func(name string) {
		for _, tag := range settingTag.FindAllStringSubmatch(types[name], -1) {
			settings[tag[1]] = strings.Contains(tag[2], required)
		}
		for _, part := range embedded.FindAllStringSubmatch(types[name], -1) {
			collect(part[1])
		}
	}
	collect("settings")
	if len(settings) < 8 {
		t.Errorf("%s: got %d settings, want more: are they still found?", program, len(settings))
	}
	return settings
}

// container is a program with its environment. A value is empty when it comes from the secret.
type container struct {
	program string
	env     map[string]string
}

// composeContainers returns the services of compose.yaml that run programs of the shop, and the variables that it takes from the
// environment file; those with a default are false.
func composeContainers(t *testing.T, tree Tree) (all []container, variables map[string]bool) {
	t.Helper()
	text, _ := tree.text("deploy/compose.yaml")
	var file struct {
		Services map[string]struct {
			Image, Command, Entrypoint any
			Environment                map[string]string
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, service := range file.Services {
		if service.Image == "tillstream" && service.Command != nil {
			all = append(all, container{strings.Trim(fmt.Sprint(service.Command), "[]"), service.Environment})
		}
	}
	variables = map[string]bool{}
	for _, found := range substituted.FindAllSubmatch(text, -1) {
		variables[string(found[1])] = len(found[2]) == 0
	}
	return all, variables
}

// kubernetesContainers returns the containers of kubernetes.yaml that run programs of the shop, and the keys of its secret; those that
// are optional are false.
func kubernetesContainers(t *testing.T, tree Tree) (all []container, keys map[string]bool) {
	t.Helper()
	text, _ := tree.text("deploy/kubernetes.yaml")
	keys = map[string]bool{}
	for documents := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var object struct {
			Spec struct {
				Template struct {
					Spec struct {
						Containers []struct {
							Image   string
							Command []string
							Env     []struct {
								Name, Value string
								ValueFrom   struct {
									SecretKeyRef struct {
										Key      string
										Optional bool
									} `yaml:"secretKeyRef"`
								} `yaml:"valueFrom"`
							}
						}
					}
				}
			}
		}
		err := documents.Decode(&object)
		if errors.Is(err, io.EOF) {
			return all, keys
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range object.Spec.Template.Spec.Containers {
			one := container{c.Command[0], map[string]string{}}
			for _, e := range c.Env {
				one.env[e.Name] = e.Value
				if from := e.ValueFrom.SecretKeyRef; from.Key != "" {
					keys[from.Key] = !from.Optional
				}
			}
			if c.Image == "tillstream" && one.program != "ops" {
				all = append(all, one)
			}
		}
	}
}

// Every program gets the settings that it needs and none that it does not read, and what the files take from the environment or the
// secret is in example.env.
func TestDeployedProgramsHaveTheirSettings(t *testing.T) {
	t.Parallel()
	tree := loadRepository(t)
	example, _ := tree.text("deploy/example.env")
	inCompose, variables := composeContainers(t, tree)
	inKubernetes, keys := kubernetesContainers(t, tree)
	for file, containers := range map[string][]container{"compose.yaml": inCompose, "kubernetes.yaml": inKubernetes} {
		var programs []string
		for _, c := range containers {
			programs = append(programs, c.program)
			checkSettings(t, file, c, settingsOf(t, tree, c.program))
		}
		slices.Sort(programs)
		if want := []string{"console", "inventory", "notifications", "orders", "payments", "storefront"}; !slices.Equal(programs, want) {
			t.Errorf("%s: got the programs %q, want %q", file, programs, want)
		}
	}
	maps.Copy(keys, variables)
	delete(keys, "MONGODB_URI") // a literal of the command that makes the secret
	for name := range keys {
		if !bytes.Contains(example, []byte("\n"+name+"=")) {
			t.Errorf("example.env: got no %s, which compose.yaml or kubernetes.yaml takes from it", name)
		}
	}
}

// checkSettings compares the environment of a program with its settings. Passwords of the broker are parts of NATS_URL.
func checkSettings(t *testing.T, file string, c container, settings map[string]bool) {
	t.Helper()
	for name, isRequired := range settings {
		if _, ok := c.env[name]; isRequired && !ok {
			t.Errorf("%s: %s does not get %s, without which it does not start", file, c.program, name)
		}
	}
	for name := range c.env {
		if _, known := settings[name]; !known && !strings.HasPrefix(name, "NATS_") {
			t.Errorf("%s: %s gets %s, which it does not read", file, c.program, name)
		}
	}
}

// The other YAML files are read by programs that are not here.
func TestDeployedYAMLIsWellFormed(t *testing.T) {
	t.Parallel()
	tree := loadRepository(t)
	found := 0
	for _, text := range tree.Texts {
		if path.Ext(text.Path) != ".yaml" && path.Ext(text.Path) != ".yml" {
			continue
		}
		found++
		for documents := yaml.NewDecoder(bytes.NewReader(text.Content)); ; {
			var document any
			err := documents.Decode(&document)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Errorf("%s: %v", text.Path, err)
				break
			}
		}
	}
	if found < 4 {
		t.Errorf("got %d YAML files, want at least 4", found)
	}
}
