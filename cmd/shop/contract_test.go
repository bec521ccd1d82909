package main

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// contract is the OpenAPI document that the shop serves. Every answer in these tests is validated against it.
type contract struct {
	once     sync.Once
	err      error
	routes   *http.ServeMux // finds the operation of a request
	document map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by their location in the document
}

// apiContract is shared by all tests of this process, which run the same program.
var apiContract contract

// load reads the document once.
func (c *contract) load(read func() ([]byte, error)) error {
	c.once.Do(func() {
		data, err := read()
		if err != nil {
			c.err = err
			return
		}
		parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			c.err = fmt.Errorf("decode OpenAPI document: %w", err)
			return
		}
		c.document, c.routes, c.schemas = parsed.(map[string]any), http.NewServeMux(), map[string]*jsonschema.Schema{}
		c.compiler = jsonschema.NewCompiler()
		c.compiler.AssertFormat()
		c.err = c.compiler.AddResource("openapi.json", parsed)
		for path, operations := range c.document["paths"].(map[string]any) {
			for method := range operations.(map[string]any) {
				c.routes.Handle(strings.ToUpper(method)+" "+path, http.NotFoundHandler())
			}
		}
	})
	return c.err
}

// check returns how an answer deviates from the document.
func (c *contract) check(r *http.Request, status int, header http.Header, body []byte) error {
	_, pattern := c.routes.Handler(r)
	method, path, found := strings.Cut(pattern, " ")
	if !found || r.Method == http.MethodHead {
		return nil // a page, or an unknown path
	}
	mismatch := func(format string, args ...any) error {
		return fmt.Errorf("%s %s: answer %d %s does not match the OpenAPI document: %s", r.Method, r.URL.Path, status, clip(body), fmt.Sprintf(format, args...))
	}
	at := []string{"paths", path, strings.ToLower(method), "responses", fmt.Sprint(status)}
	response, ok := c.at(at...).(map[string]any)
	if !ok {
		return mismatch("status not documented")
	}
	content, _ := response["content"].(map[string]any)
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if len(content) == 0 && len(body) == 0 {
		return nil
	}
	media, ok := content[kind].(map[string]any)
	if err != nil || !ok {
		return mismatch("content type %q not documented", header.Get("Content-Type"))
	}
	if media["schema"] == nil {
		return nil
	}
	schema, err := c.schema(append(at, "content", kind, "schema"))
	if err != nil {
		return mismatch("%v", err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		return mismatch("%v", err)
	}
	return nil
}

func clip(body []byte) string { return string(body[:min(len(body), 300)]) }

func (c *contract) at(keys ...string) any {
	var value any = c.document
	for _, key := range keys {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

func (c *contract) schema(keys []string) (*jsonschema.Schema, error) {
	escaped := slices.Clone(keys)
	for i, key := range escaped {
		escaped[i] = strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(key)
	}
	place := "openapi.json#/" + strings.Join(escaped, "/")
	c.mu.Lock()
	defer c.mu.Unlock()
	if schema := c.schemas[place]; schema != nil {
		return schema, nil
	}
	schema, err := c.compiler.Compile(place)
	if err != nil {
		return nil, fmt.Errorf("compile schema: %w", err)
	}
	c.schemas[place] = schema
	return schema, nil
}
