package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/spec"
)

// stripeSpec returns Stripe's OpenAPI description of its API, which stripe-mock contains.
var stripeSpec = sync.OnceValues(func() (*spec.Spec, error) {
	var s spec.Spec
	if err := json.Unmarshal(embedded.OpenAPISpec, &s); err != nil {
		return nil, fmt.Errorf("decode Stripe's OpenAPI description: %w", err)
	}
	return &s, nil
})

// differences are the properties that differ between the API version of the description, 2026-08-26.dahlia, and that of the
// sandbox, 2023-10-16, by schema and property, with the reason.
var differences = map[string]string{
	"balance_transaction.balance_type":              "added after 2023-10-16",
	"charge.destination":                            "removed after 2023-10-16; always null",
	"charge.dispute":                                "removed after 2023-10-16",
	"charge.invoice":                                "removed after 2023-10-16; always null",
	"dispute.enhanced_eligibility_types":            "added after 2023-10-16",
	"dispute_evidence.enhanced_evidence":            "added after 2023-10-16",
	"dispute_evidence_details.enhanced_eligibility": "added after 2023-10-16",
	"dispute_payment_method_details_card.network":   "added after 2023-10-16",
	"payment_intent.invoice":                        "removed after 2023-10-16; always null",
	"payment_intent.source":                         "removed after 2023-10-16; always null",
}

// checker compares JSON with the schemas of the description.
type checker struct {
	spec  *spec.Spec
	found map[string]string // what is wrong, by schema and property; the first place of each
	used  map[string]bool   // differences that were found
	seen  map[string]bool   // operations that were answered with 200, and statuses
}

func newChecker(t *testing.T) *checker {
	t.Helper()
	s, err := stripeSpec()
	if err != nil {
		t.Fatal(err)
	}
	return &checker{spec: s, found: make(map[string]string), used: make(map[string]bool), seen: make(map[string]bool)}
}

// report records a mismatch, unless it is a known difference.
func (c *checker) report(problems map[string]string) {
	for key, what := range problems {
		if _, known := differences[key]; known {
			c.used[key] = true
		} else if _, known := c.found[key]; !known {
			c.found[key] = what
		}
	}
}

// answer checks the answer of an operation.
func (c *checker) answer(method, path string, status int, body []byte) error {
	operation := c.operation(method, path)
	if operation == nil {
		return fmt.Errorf("%s %s is not in Stripe's description", method, path)
	}
	c.seen[strconv.Itoa(status)] = true
	code := spec.StatusCode("200")
	if status != 200 {
		code = "default"
	}
	return c.check(operation.Responses[code].Content["application/json"].Schema, fmt.Sprintf("%s %s %d", method, path, status), body)
}

// operation finds the operation of a path, of which {…} matches any segment. Paths without one win.
func (c *checker) operation(method, path string) *spec.Operation {
	segments := strings.Split(path, "/")
	for _, template := range slices.Sorted(maps.Keys(c.spec.Paths)) {
		want := strings.Split(string(template), "/")
		matches := len(want) == len(segments)
		for i := 0; matches && i < len(want); i++ {
			matches = want[i] == segments[i] || strings.HasPrefix(want[i], "{") && segments[i] != "search"
		}
		if matches {
			return c.spec.Paths[template][spec.HTTPVerb(strings.ToLower(method))]
		}
	}
	return nil
}

func (c *checker) check(schema *spec.Schema, place string, body []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	c.report(c.value(schema, "", place, value))
	return nil
}

// object checks an object against the schema that has its name.
func (c *checker) object(place string, object json.RawMessage) error {
	var named struct{ Object string }
	if err := json.Unmarshal(object, &named); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	schema := c.spec.Components.Schemas[named.Object]
	if schema == nil {
		return fmt.Errorf("%s: Stripe's description has no object %q", place, named.Object)
	}
	return c.check(schema, place, object)
}

// value returns what is wrong with a value. name is the innermost named schema and the property.
func (c *checker) value(schema *spec.Schema, name, place string, value any) map[string]string {
	for schema.Ref != "" {
		name = schema.Ref[strings.LastIndex(schema.Ref, "/")+1:]
		schema = c.spec.Components.Schemas[name]
	}
	if schema.XResourceID != "" {
		name = schema.XResourceID
	}
	wrong := func(format string, args ...any) map[string]string {
		return map[string]string{name: fmt.Sprintf("%s: %s", place, fmt.Sprintf(format, args...))}
	}
	if value == nil {
		if schema.Nullable {
			return nil
		}
		return wrong("null is not allowed")
	}
	if len(schema.AnyOf) > 0 {
		return c.anyOf(schema, name, place, value)
	}
	if len(schema.Enum) > 0 && !slices.ContainsFunc(schema.Enum, func(e any) bool { return e == value }) {
		return wrong("%v is not one of %v", value, schema.Enum)
	}
	switch v := value.(type) {
	case map[string]any:
		if schema.Type != spec.TypeObject && schema.Type != "" {
			return wrong("an object, want %s", schema.Type)
		}
		return c.properties(schema, name, place, v)
	case []any:
		if schema.Type != spec.TypeArray {
			return wrong("an array, want %s", schema.Type)
		}
		problems := make(map[string]string)
		for i, item := range v {
			maps.Copy(problems, c.value(schema.Items, name, fmt.Sprintf("%s[%d]", place, i), item))
		}
		return problems
	case string:
		if schema.Type != spec.TypeString || schema.MaxLength > 0 && len(v) > schema.MaxLength {
			return wrong("text of %d bytes, want %s up to %d", len(v), schema.Type, schema.MaxLength)
		}
	case json.Number:
		if _, err := v.Int64(); schema.Type != spec.TypeNumber && (schema.Type != spec.TypeInteger || err != nil) {
			return wrong("number %s, want %s", v, schema.Type)
		}
	case bool:
		if schema.Type != spec.TypeBoolean {
			return wrong("%v, want %s", v, schema.Type)
		}
	}
	return nil
}

// anyOf returns what is wrong with the alternative that fits best.
func (c *checker) anyOf(schema *spec.Schema, name, place string, value any) (best map[string]string) {
	for i, alternative := range schema.AnyOf {
		problems := c.value(alternative, name, place, value)
		for key := range problems {
			if _, known := differences[key]; known {
				c.used[key] = true
				delete(problems, key)
			}
		}
		if i == 0 || len(problems) < len(best) {
			best = problems
		}
	}
	return best
}

// properties checks the members of an object: all that are required, and none that the schema does not have.
func (c *checker) properties(schema *spec.Schema, name, place string, object map[string]any) map[string]string {
	problems := make(map[string]string)
	for _, required := range schema.Required {
		if _, ok := object[required]; !ok {
			problems[name+"."+required] = place + ": is required"
		}
	}
	for property, value := range object {
		inner := place + "." + property
		known, ok := schema.Properties[property]
		switch {
		case ok:
			maps.Copy(problems, c.value(known, name+"."+property, inner, value))
		case schema.AdditionalProperties != nil:
			maps.Copy(problems, c.value(schema.AdditionalProperties, name+"."+property, inner, value))
		case len(schema.Properties) > 0:
			problems[name+"."+property] = inner + ": is not in the schema"
		}
	}
	return problems
}
