package replay

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"tillstream/events"
)

// Change is one field that differs between two states.
type Change struct {
	Field  string `json:"field"`  // as a path, such as lines[0].quantity
	Before any    `json:"before"` // nil when the field was not there
	After  any    `json:"after"`
}

// Changes returns the fields that differ between two states, compared as their JSON, in the order of the fields' names.
func Changes(before, after any) ([]Change, error) {
	old, err := Fields(before)
	if err != nil {
		return nil, err
	}
	next, err := Fields(after)
	if err != nil {
		return nil, err
	}
	changes := []Change{}
	for _, f := range old {
		value, has := find(next, f.Name)
		if !has || value != f.Value {
			changes = append(changes, Change{f.Name, f.Value, value})
		}
	}
	for _, f := range next {
		if _, had := find(old, f.Name); !had {
			changes = append(changes, Change{f.Name, nil, f.Value})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Field, b.Field) })
	return changes, nil
}

// Field is one field of a state: a number, text, true or false.
type Field struct {
	Name  string
	Value any // string, bool, [json.Number] or nil
}

func find(fields []Field, name string) (any, bool) {
	for _, f := range fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return nil, false
}

// Fields returns the fields of a state, as its JSON has them, each with its path. nil has none. An amount of money is one field.
func Fields(state any) ([]Field, error) {
	if state == nil {
		return nil, nil
	}
	data, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("fields of a state: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("fields of a state: %w", err)
	}
	return flatten(nil, "", value), nil
}

func flatten(fields []Field, path string, value any) []Field {
	switch value := value.(type) {
	case map[string]any:
		if text, ok := amount(value); ok {
			return append(fields, Field{path, text})
		}
		for _, name := range slices.Sorted(maps.Keys(value)) {
			inner := name
			if path != "" {
				inner = path + "." + name
			}
			fields = flatten(fields, inner, value[name])
		}
		return fields
	case []any:
		for i, element := range value {
			fields = flatten(fields, path+"["+strconv.Itoa(i)+"]", element)
		}
		return fields
	}
	return append(fields, Field{path, value})
}

// amount returns an amount of money as text.
func amount(object map[string]any) (string, bool) {
	number, isNumber := object["amount"].(json.Number)
	currency, isText := object["currency"].(string)
	minor, err := strconv.ParseInt(number.String(), 10, 64)
	if len(object) != 2 || !isNumber || !isText || err != nil {
		return "", false
	}
	return events.Money{Amount: minor, Currency: currency}.String(), true
}
