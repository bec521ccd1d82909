package storefront

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// maxDepth is how deep nested objects are listed.
const maxDepth = 4

// schema is the part of JSON Schema that fits into one line of a table.
type schema struct {
	Ref                  string             `json:"$ref"`
	Type                 oneOrMany          `json:"type"`
	Format               string             `json:"format"`
	Description          string             `json:"description"`
	Properties           map[string]*schema `json:"properties"`
	Required             []string           `json:"required"`
	Items                *schema            `json:"items"`
	Enum                 []any              `json:"enum"`
	AnyOf                []*schema          `json:"anyOf"`
	OneOf                []*schema          `json:"oneOf"`
	Pattern              string             `json:"pattern"`
	Minimum, Maximum     *json.Number
	MinLength, MaxLength *int
	MinItems, MaxItems   *int
}

// oneOrMany is a string or a list of strings: "type" may be either since OpenAPI 3.1.
type oneOrMany []string

// UnmarshalJSON reads both forms.
func (o *oneOrMany) UnmarshalJSON(raw []byte) error {
	var one string
	if err := json.Unmarshal(raw, &one); err == nil {
		*o = oneOrMany{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(raw, &many); err != nil {
		return fmt.Errorf("decode schema type %s: %w", raw, err)
	}
	*o = many
	return nil
}

// field is one line of a table: a parameter or a property, nested ones with dots.
type field struct {
	Name, Where, Kind, Limits, Text string
	Required                        bool
}

func refName(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// resolve follows a reference within the document; nil if its target does not exist.
func (d *document) resolve(s *schema) *schema {
	for hops := 0; s != nil && s.Ref != "" && hops < maxDepth; hops++ {
		s = d.Components.Schemas[refName(s.Ref)]
	}
	return s
}

// fields flattens an object. above lists the schemas that contain it: a schema that contains itself is listed once.
func (d *document) fields(s *schema, prefix string, above []*schema) []field {
	s = d.resolve(s)
	if s == nil || len(above) >= maxDepth || slices.Contains(above, s) {
		return nil
	}
	above = append(slices.Clone(above), s)
	if s.Items != nil {
		return d.fields(s.Items, prefix+"[]", above)
	}
	var flat []field
	for _, name := range sortedKeys(s.Properties) {
		if name == "$schema" {
			continue // the address of the schema, not a property of the object
		}
		property := s.Properties[name]
		kind, limits := d.describe(property)
		full := strings.TrimPrefix(prefix+"."+name, ".")
		text := property.Description
		if target := d.resolve(property); text == "" && target != nil {
			text = target.Description
		}
		flat = append(flat, field{Name: full, Kind: kind, Limits: limits, Text: text,
			Required: slices.Contains(s.Required, name)})
		flat = append(flat, d.fields(property, full, above)...)
	}
	return flat
}

// describe returns type and limits as text.
func (d *document) describe(s *schema) (kind, limits string) {
	s = d.resolve(s)
	if s == nil {
		return "any", ""
	}
	kinds := slices.DeleteFunc(slices.Clone(s.Type), func(t string) bool { return t == "null" })
	kind = strings.Join(kinds, " or ")
	if s.Items != nil {
		inner, _ := d.describe(s.Items)
		kind = "list of " + inner
	}
	for _, option := range slices.Concat(s.AnyOf, s.OneOf) {
		inner, _ := d.describe(option)
		kind = strings.TrimPrefix(kind+" or "+inner, " or ")
	}
	if kind == "" {
		kind = "any"
	}
	if s.Format != "" {
		kind += " (" + s.Format + ")"
	}
	return kind, s.limits()
}

func (s *schema) limits() string {
	var parts []string
	if len(s.Enum) > 0 {
		values := make([]string, len(s.Enum))
		for i, value := range s.Enum {
			values[i] = fmt.Sprint(value)
		}
		parts = append(parts, "one of "+strings.Join(values, ", "))
	}
	parts = append(parts, between("", s.Minimum, s.Maximum)...)
	parts = append(parts, between("length ", s.MinLength, s.MaxLength)...)
	parts = append(parts, between("entries ", s.MinItems, s.MaxItems)...)
	if s.Pattern != "" {
		parts = append(parts, "matches "+s.Pattern)
	}
	return strings.Join(parts, "; ")
}

// between formats the limits of a value, after the name of what is limited, such as "length ".
func between[N any](name string, least, most *N) []string {
	switch {
	case least != nil && most != nil:
		return []string{fmt.Sprintf("%s%v to %v", name, *least, *most)}
	case least != nil:
		return []string{fmt.Sprintf("%sat least %v", name, *least)}
	case most != nil:
		return []string{fmt.Sprintf("%sat most %v", name, *most)}
	}
	return nil
}
