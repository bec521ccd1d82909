package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestEveryRouteOfTheDocumentIsThere: what the storefront documents is answered on its origin, by the domain that it
// belongs to.
func TestEveryRouteOfTheDocumentIsThere(t *testing.T) {
	t.Parallel()
	origin, _ := open(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	data, err := document()
	if err != nil {
		t.Fatal(err)
	}
	var described struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(data, &described); err != nil || len(described.Paths) == 0 {
		t.Fatalf("%d paths, %v", len(described.Paths), err)
	}
	for path, methods := range described.Paths {
		for method := range methods {
			request, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(method), origin+strings.NewReplacer("{", "", "}", "").Replace(path), nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			if err := response.Body.Close(); err != nil {
				t.Error(err)
			}
			if response.StatusCode != http.StatusTeapot {
				t.Errorf("%s %s is documented and answers %d without having been asked of a domain", method, path, response.StatusCode)
			}
		}
	}
}
