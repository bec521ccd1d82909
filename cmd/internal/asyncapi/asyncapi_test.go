package asyncapi

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/asyncapi/spec-json-schemas/v6"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"tillstream/events"
)

const eventsDir = "../../../events"

func TestDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	want, err := Document(eventsDir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(eventsDir, "asyncapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), string(want)); diff != "" {
		t.Errorf("events/asyncapi.json is out of date; run go generate ./cmd/internal/asyncapi (-file +generated):\n%s", diff)
	}
}

// parsed returns the generated document.
func parsed(t *testing.T) map[string]any {
	t.Helper()
	data, err := Document(eventsDir)
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	return document
}

// Every reference resolves, and every event type is referred to by a channel and an operation.
func TestReferencesResolve(t *testing.T) {
	t.Parallel()
	document := parsed(t)
	var references []string
	walk(document, func(key string, value any) {
		if ref, ok := value.(string); ok && key == "$ref" {
			references = append(references, ref)
		}
	})
	for _, ref := range references {
		if !resolves(document, ref) {
			t.Errorf("reference %s: got no target", ref)
		}
	}
	for _, def := range events.Definitions() {
		c, err := channelOf(def.Type)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, ref := range []string{"#/components/messages/" + def.Type, "#/channels/" + c.name + "/messages/" + def.Type} {
			if !slices.Contains(references, ref) {
				t.Errorf("%s: got no reference to %s", def.Type, ref)
			}
		}
	}
}

func walk(value any, visit func(key string, value any)) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			visit(key, inner)
			walk(inner, visit)
		}
	case []any:
		for _, inner := range v {
			walk(inner, visit)
		}
	}
}

func resolves(document map[string]any, ref string) bool {
	var at any = document
	for _, key := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		inner, ok := at.(map[string]any)
		if !ok {
			return false
		}
		if at, ok = inner[key]; !ok {
			return false
		}
	}
	return true
}

// The golden samples have every field and conform to the schemas: no required field is missing and none is unknown.
func TestGoldenSamplesConformToSchemas(t *testing.T) {
	t.Parallel()
	schemas := parsed(t)["components"].(map[string]any)["schemas"].(map[string]any)
	messages := parsed(t)["components"].(map[string]any)["messages"].(map[string]any)
	for _, def := range events.Definitions() {
		data, err := os.ReadFile(filepath.Join(eventsDir, "testdata", def.Type+".v1.json"))
		if err != nil {
			t.Fatal(err)
		}
		var sample any
		if err := json.Unmarshal(data, &sample); err != nil {
			t.Fatal(err)
		}
		message := messages[def.Type].(map[string]any)
		if message["summary"] == "" {
			t.Errorf("%s: got no summary, want the comment of its type", def.Type)
		}
		matches(t, def.Type, schemas, message["payload"].(map[string]any), sample)
	}
}

// matches expects a JSON value to conform to a schema.
func matches(t *testing.T, where string, schemas, schema map[string]any, value any) {
	t.Helper()
	if ref, ok := schema["$ref"].(string); ok {
		schema = schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
	}
	switch v := value.(type) {
	case map[string]any:
		properties, described := schema["properties"].(map[string]any)
		for key, inner := range v {
			if property, ok := properties[key].(map[string]any); ok {
				matches(t, where+"."+key, schemas, property, inner)
			} else if described {
				t.Errorf("%s.%s: got no schema", where, key)
			}
		}
		required, _ := schema["required"].([]any)
		for _, key := range required {
			if _, ok := v[key.(string)]; !ok {
				t.Errorf("%s.%s: got no value of a required field", where, key)
			}
		}
	case []any:
		for _, inner := range v {
			matches(t, where+"[]", schemas, schema["items"].(map[string]any), inner)
		}
	case string, float64, bool:
		want := map[string]any{"string": "string", "number": "integer", "bool": "boolean"}[kind(v)]
		if schema["type"] != want {
			t.Errorf("%s: got a %s, want %v", where, kind(v), schema["type"])
		}
	}
}

func kind(value any) string {
	switch value.(type) {
	case string:
		return "string"
	case bool:
		return "bool"
	}
	return "number"
}

// The document is valid against AsyncAPI's own schema.
func TestDocumentIsValid(t *testing.T) {
	t.Parallel()
	schema, err := specs.Get("3.0.0")
	if err != nil || schema == nil {
		t.Fatalf("no schema of AsyncAPI 3.0.0: %v", err)
	}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("asyncapi.json", resource); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(any(parsed(t))); err != nil {
		t.Error(err)
	}
	broken := parsed(t)
	delete(broken, "info")
	if compiled.Validate(any(broken)) == nil {
		t.Error("document without info: got valid, want an error")
	}
}

// Every subject of the log has a channel.
func TestEverySubjectHasChannel(t *testing.T) {
	t.Parallel()
	for _, subject := range append(events.ShopSubjects(), events.PrefixDeadLetter+">") {
		described := slices.ContainsFunc(channels, func(c channel) bool {
			address := parameter.ReplaceAllString(c.address, "*")
			rest, whole := strings.CutSuffix(subject, ">")
			return address == subject || whole && strings.HasPrefix(address, rest)
		})
		if !described {
			t.Errorf("subject %s: got no channel", subject)
		}
	}
}
