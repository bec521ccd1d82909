package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// expandedByState are the properties that encode shows in full without decoding the answer, because the worker and the
// reconciler ask for them all the time.
var expandedByState = map[string]bool{"latest_charge": true, "data.latest_charge": true}

// expandAll replaces the ids at the paths of the request's expand parameter with their objects.
func (c *call) expandAll(t *tx, body []byte) ([]byte, *apiError) {
	var root any
	for _, path := range c.form.list("expand") {
		if expandedByState[path] {
			continue
		}
		if root == nil {
			if err := decodeTree(body, &root); err != nil {
				return nil, t.internalError(err)
			}
		}
		if problem := t.expandPath(root, path, strings.Split(path, ".")); problem != nil {
			return nil, problem
		}
	}
	if root == nil {
		return body, nil
	}
	expanded, err := json.Marshal(root)
	if err != nil {
		return nil, t.internalError(err)
	}
	return expanded, nil
}

// expandsMore reports whether the answer must be decoded to expand what the request asks for.
func (c *call) expandsMore() bool {
	return slices.ContainsFunc(c.form.list("expand"), func(path string) bool { return !expandedByState[path] })
}

// decodeTree decodes JSON without rounding its numbers.
func decodeTree(body []byte, into *any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	return decoder.Decode(into)
}

func (t *tx) expandPath(at any, path string, steps []string) *apiError {
	if list, ok := at.([]any); ok {
		for _, item := range list {
			if problem := t.expandPath(item, path, steps); problem != nil {
				return problem
			}
		}
		return nil
	}
	object, ok := at.(map[string]any)
	if !ok {
		return nil // null
	}
	value, ok := object[steps[0]]
	if !ok {
		return invalid("expand", "", "This property cannot be expanded (%s).", path)
	}
	if id, ok := value.(string); ok {
		shown, err := t.object(id)
		if err != nil {
			return invalid("expand", "", "This property cannot be expanded (%s).", path)
		}
		encoded, err := json.Marshal(shown)
		if err == nil {
			err = decodeTree(encoded, &value)
		}
		if err != nil {
			return t.internalError(err)
		}
		object[steps[0]] = value
	}
	if len(steps) == 1 {
		return nil
	}
	return t.expandPath(value, path, steps[1:])
}

// object returns any object by its id, including the changes of this transaction.
func (t *tx) object(id string) (any, error) {
	if changed, ok := t.newest[id]; ok {
		return changed, nil
	}
	prefix, _, _ := strings.Cut(id, "_")
	find, ok := map[string]func(string) (any, error){
		"pi": finder(t.server.intents), "ch": finder(t.server.charges), "py": finder(t.server.charges), "re": finder(t.server.refunds), "po": finder(t.server.payouts), "dp": finder(t.server.disputes),
		"txn": func(id string) (any, error) {
			b, err := t.server.balances.find(id)
			return orMissing(b.shown(t.now), err)
		},
	}[prefix]
	if !ok {
		return nil, fmt.Errorf("object %s: %w", id, errMissing)
	}
	return find(id)
}

func finder[T any](o *objects[T]) func(string) (any, error) {
	return func(id string) (any, error) {
		state, err := o.find(id)
		return orMissing(state, err)
	}
}

func orMissing[T any](state *T, err error) (any, error) {
	if err == nil && state == nil {
		err = errMissing
	}
	return state, err
}
