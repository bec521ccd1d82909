package storefront

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tillstream/cmd/internal/web"
)

// document is the part of OpenAPI 3.1 that /docs shows.
type document struct {
	Info struct {
		Title       string `json:"title"`
		Version     string `json:"version"`
		Description string `json:"description"`
	} `json:"info"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas    map[string]*schema   `json:"schemas"`
		Parameters map[string]parameter `json:"parameters"`
		Responses  map[string]response  `json:"responses"`
	} `json:"components"`
}

type operation struct {
	Summary     string              `json:"summary"`
	Description string              `json:"description"`
	Tags        []string            `json:"tags"`
	Parameters  []parameter         `json:"parameters"`
	RequestBody *content            `json:"requestBody"`
	Responses   map[string]response `json:"responses"`
}

type parameter struct {
	Ref         string  `json:"$ref"`
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Description string  `json:"description"`
	Required    bool    `json:"required"`
	Schema      *schema `json:"schema"`
}

type content struct {
	Content map[string]struct {
		Schema *schema `json:"schema"`
	} `json:"content"`
}

type response struct {
	Ref         string `json:"$ref"`
	Description string `json:"description"`
	content
}

// docsPage is what templates/docs.html shows.
type docsPage struct {
	Title, Version, Description string
	Groups                      []docsGroup
}

type docsGroup struct {
	Name  string
	Calls []docsCall
}

type docsCall struct {
	Method, Path, Summary, Description, Anchor string
	Parameters, Body                           []field
	Answers                                    []docsAnswer
}

type docsAnswer struct {
	Status, Description, Kind string
	Fields                    []field
}

func (s *shop) showOpenAPI(w http.ResponseWriter, r *http.Request) {
	if s.OpenAPI == nil {
		s.showNotFound(w, r)
		return
	}
	web.Send(w, web.Reply{Kind: "application/json", Cache: "no-cache", Body: s.OpenAPI()})
}

func (s *shop) showDocs(w http.ResponseWriter, r *http.Request) {
	if s.OpenAPI == nil {
		s.showNotFound(w, r)
		return
	}
	body, err := readDocs(s.OpenAPI())
	if err != nil {
		s.showFailure(w, r, err)
		return
	}
	s.show(w, r, http.StatusOK, "docs", page{Title: "API", About: "The shop's HTTP API.", Body: body})
}

// methods are in the order of the page.
var methods = []string{"get", "post", "put", "patch", "delete"}

// readDocs converts the document to the content of the page: calls in order of their paths, grouped by their first tag or,
// without tags, by the first segment of the path.
func readDocs(source []byte) (docsPage, error) {
	var api document
	if err := json.Unmarshal(source, &api); err != nil {
		return docsPage{}, fmt.Errorf("decode OpenAPI document: %w", err)
	}
	shown := docsPage{Title: api.Info.Title, Version: api.Info.Version, Description: api.Info.Description}
	for _, path := range sortedKeys(api.Paths) {
		for _, method := range methods {
			raw, ok := api.Paths[path][method]
			if !ok {
				continue
			}
			var op operation
			if err := json.Unmarshal(raw, &op); err != nil {
				return docsPage{}, fmt.Errorf("decode operation %s %s of the OpenAPI document: %w", method, path, err)
			}
			shown.add(groupOf(path, op), api.call(method, path, op))
		}
	}
	return shown, nil
}

func (p *docsPage) add(group string, call docsCall) {
	at := slices.IndexFunc(p.Groups, func(g docsGroup) bool { return g.Name == group })
	if at < 0 {
		p.Groups = append(p.Groups, docsGroup{Name: group})
		at = len(p.Groups) - 1
	}
	p.Groups[at].Calls = append(p.Groups[at].Calls, call)
}

func groupOf(path string, op operation) string {
	if len(op.Tags) > 0 {
		return op.Tags[0]
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) > 1 && parts[0] == "api" {
		return parts[1]
	}
	return parts[0]
}

func (d *document) call(method, path string, op operation) docsCall {
	shown := docsCall{Method: strings.ToUpper(method), Path: path, Summary: op.Summary, Description: op.Description,
		Anchor: anchor(method + path)}
	for _, p := range op.Parameters {
		if p.Ref != "" {
			p = d.Components.Parameters[refName(p.Ref)]
		}
		kind, limits := d.describe(p.Schema)
		shown.Parameters = append(shown.Parameters,
			field{Name: p.Name, Where: p.In, Kind: kind, Limits: limits, Text: p.Description, Required: p.Required})
	}
	if op.RequestBody != nil {
		_, shown.Body = d.body(*op.RequestBody)
	}
	for _, status := range sortedKeys(op.Responses) {
		answer := op.Responses[status]
		if answer.Ref != "" {
			answer = d.Components.Responses[refName(answer.Ref)]
		}
		kind, fields := d.body(answer.content)
		if strings.HasSuffix(kind, "problem+json") {
			fields = nil // all calls have the same fields, which the page describes once
		}
		shown.Answers = append(shown.Answers,
			docsAnswer{Status: status, Description: answer.Description, Kind: kind, Fields: fields})
	}
	return shown
}

// body returns the first media type and its fields.
func (d *document) body(from content) (kind string, fields []field) {
	for _, kind := range sortedKeys(from.Content) {
		return kind, d.fields(from.Content[kind].Schema, "", nil)
	}
	return "", nil
}

func sortedKeys[V any](from map[string]V) []string {
	keys := make([]string, 0, len(from))
	for key := range from {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// anchor converts a path to a fragment identifier.
func anchor(path string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, path), "-")
}
