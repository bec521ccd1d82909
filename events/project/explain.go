package project

import (
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// explainedAtMost is how many fields of one document are named.
const explainedAtMost = 3

// explain says in which fields a live document is not what it should be.
func explain(live, want bson.Raw) string {
	have, should := map[string]string{}, map[string]string{}
	order := append(flatten(want, "", should), flatten(live, "", have)...)
	var said []string
	seen := map[string]bool{}
	for _, field := range order {
		if h, s := have[field], should[field]; h != s && !seen[field] {
			said = append(said, fmt.Sprintf("%s is %s, should be %s", field, orNothing(h), orNothing(s)))
		}
		seen[field] = true
	}
	switch {
	case len(said) == 0:
		return "the same fields in another order"
	case len(said) > explainedAtMost:
		said = append(said[:explainedAtMost], fmt.Sprintf("and %d more fields", len(said)-explainedAtMost))
	}
	return strings.Join(said, "; ")
}

func orNothing(value string) string {
	if value == "" {
		return "not there"
	}
	const enough = 80
	if len(value) > enough {
		return strings.ToValidUTF8(value[:enough], "") + "…"
	}
	return value
}

// flatten notes the value of every field, named by its path, and returns the names in their order.
func flatten(raw bson.Raw, prefix string, to map[string]string) (order []string) {
	elements, err := raw.Elements()
	if err != nil { // cut off, by whoever wrote it
		to[prefix+"(unreadable)"] = err.Error()
		return []string{prefix + "(unreadable)"}
	}
	for _, e := range elements {
		name := prefix + e.Key()
		if inner, ok := e.Value().DocumentOK(); ok {
			order = append(order, flatten(inner, name+".", to)...)
			continue
		}
		to[name] = e.Value().String()
		order = append(order, name)
	}
	return order
}
