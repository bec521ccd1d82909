package sandbox

import (
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// form is a decoded request. Names keep their brackets, as in metadata[order_id] or payment_method_data[card][number]. If a
// name is sent twice, the last value counts.
type form map[string]string

// parseForm numbers the items of unnumbered arrays such as types[].
func parseForm(values url.Values) form {
	f := make(form, len(values))
	for name, list := range values {
		array, unnumbered := strings.CutSuffix(name, "[]")
		if !unnumbered {
			f[name] = list[len(list)-1]
			continue
		}
		for i, item := range list {
			f[array+"["+strconv.Itoa(i)+"]"] = item
		}
	}
	return f
}

// baseName returns the parameter's name without its brackets.
func baseName(name string) string {
	head, _, _ := strings.Cut(name, "[")
	return head
}

// allow refuses unknown parameters, as Stripe does. Otherwise a misspelt one would have no effect and no error.
func (f form) allow(known ...string) *apiError {
	for name := range f {
		if !slices.Contains(known, baseName(name)) {
			return invalid(name, "parameter_unknown", "Received unknown parameter: %s", name)
		}
	}
	return nil
}

// has reports whether the parameter was sent, even if empty.
func (f form) has(name string) bool {
	_, ok := f[name]
	return ok
}

// hasNested reports whether any parameter below name[...] was sent.
func (f form) hasNested(name string) bool {
	for key := range f {
		if strings.HasPrefix(key, name+"[") {
			return true
		}
	}
	return false
}

// integer reads a whole number; ok is false when the parameter was not sent.
func (f form) integer(name string) (n int64, ok bool, problem *apiError) {
	text, ok := f[name]
	if !ok {
		return 0, false, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, true, invalid(name, "parameter_invalid_integer", "Invalid integer: %s", text)
	}
	return n, true, nil
}

// boolean reads true or false; absent is false.
func (f form) boolean(name string) (bool, *apiError) {
	switch f[name] {
	case "":
		return false, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, invalid(name, "", "Invalid boolean: %s", f[name])
}

// oneOf reads one of the words; absent is the first of them.
func (f form) oneOf(name string, words ...string) (string, *apiError) {
	word, ok := f[name]
	if !ok {
		return words[0], nil
	}
	if word == "" || !slices.Contains(words, word) {
		return "", invalid(name, "", "Invalid %s: must be one of %s", name, strings.Join(words, ", "))
	}
	return word, nil
}

// list reads an array in the order of its indexes.
func (f form) list(name string) []string {
	type item struct {
		index int
		value string
	}
	var items []item
	for key, value := range f {
		inner, ok := strings.CutPrefix(key, name+"[")
		if !ok || !strings.HasSuffix(inner, "]") {
			continue
		}
		if index, err := strconv.Atoi(strings.TrimSuffix(inner, "]")); err == nil {
			items = append(items, item{index, value})
		}
	}
	sort.Slice(items, func(a, b int) bool { return items[a].index < items[b].index })
	values := make([]string, len(items))
	for i, it := range items {
		values[i] = it.value
	}
	return values
}

// Stripe's limits on metadata.
const (
	maxMetadataPairs = 50
	maxMetadataKey   = 40
	maxMetadataValue = 500
)

// metadata merges the request's metadata with an object's: an empty value removes the key, metadata sent as an empty string
// removes all. The old map is not changed, because older states of the object have it.
func (f form) metadata(old map[string]string) (map[string]string, *apiError) {
	merged := make(map[string]string, len(old)+2)
	if !f.has("metadata") {
		for key, value := range old {
			merged[key] = value
		}
	}
	for name, value := range f {
		inner, ok := strings.CutPrefix(name, "metadata[")
		if !ok {
			continue
		}
		key, closed := strings.CutSuffix(inner, "]")
		if problem := checkMetadata(name, key, value, closed); problem != nil {
			return nil, problem
		}
		merged[key] = value
		if value == "" {
			delete(merged, key)
		}
	}
	if len(merged) > maxMetadataPairs {
		return nil, invalid("metadata", "", "Metadata can have up to %d keys.", maxMetadataPairs)
	}
	return merged, nil
}

func checkMetadata(name, key, value string, closed bool) *apiError {
	switch {
	case !closed || key == "" || strings.ContainsAny(key, "[]"):
		return invalid(name, "", "Invalid metadata: nested values are not allowed.")
	case len(key) > maxMetadataKey:
		return invalid(name, "", "Metadata keys can have up to %d characters.", maxMetadataKey)
	case len(value) > maxMetadataValue:
		return invalid(name, "", "Metadata values can have up to %d characters.", maxMetadataValue)
	}
	return nil
}
