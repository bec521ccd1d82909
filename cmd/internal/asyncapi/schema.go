package asyncapi

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// schema returns the JSON schema of a Go type. Named structs become components, which it refers to.
func (d *document) schema(t reflect.Type) (object, error) {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}, nil
	case reflect.TypeFor[jsontext.Value]():
		return object{"description": "Any JSON."}, nil
	case reflect.TypeFor[[]byte]():
		return object{"type": "string", "contentEncoding": "base64"}, nil
	}
	switch t.Kind() {
	case reflect.Pointer: // its field is optional by omitempty
		return d.schema(t.Elem())
	case reflect.String:
		return object{"type": "string"}, nil
	case reflect.Bool:
		return object{"type": "boolean"}, nil
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}, nil
	case reflect.Uint64:
		return object{"type": "integer", "minimum": 0}, nil
	case reflect.Slice:
		items, err := d.schema(t.Elem())
		return object{"type": "array", "items": items}, err
	case reflect.Map:
		values, err := d.schema(t.Elem())
		return object{"type": "object", "additionalProperties": values}, err
	case reflect.Struct:
		return reference("components", "schemas", t.Name()), d.component(t)
	}
	return nil, fmt.Errorf("no JSON schema for %s", t)
}

// component adds the schema of a struct, once.
func (d *document) component(t reflect.Type) error {
	if _, ok := d.schemas[t.Name()]; ok {
		return nil
	}
	properties, required := object{}, []string{}
	described := object{"type": "object", "properties": properties}
	if comment := d.comments[t.Name()]; comment != "" {
		described["description"] = comment
	}
	d.schemas[t.Name()] = described // before its fields, since one may have the same type
	if err := d.fields(t, properties, &required); err != nil {
		return err
	}
	slices.Sort(required)
	described["required"] = required
	return nil
}

// fields adds the fields of a struct and of embedded structs, as the JSON codec does.
func (d *document) fields(t reflect.Type, properties object, required *[]string) error {
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && name == "" {
			if err := d.fields(field.Type, properties, required); err != nil {
				return err
			}
			continue
		}
		if name == "" {
			return fmt.Errorf("%s.%s has no JSON name", t.Name(), field.Name)
		}
		schema, err := d.schema(field.Type)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", t.Name(), field.Name, err)
		}
		if comment := d.comments[t.Name()+"."+field.Name]; comment != "" {
			schema["description"] = comment
		}
		properties[name] = schema
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			*required = append(*required, name)
		}
	}
	return nil
}
