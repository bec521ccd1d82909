// Package api is what the APIs of all domains share: how JSON is read, what wraps every request, and where health
// and metrics are.
package api

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Version of the HTTP API, as the OpenAPI document states it.
const Version = "1.0.0"

// New makes an API on a mux. It reads JSON strictly: unknown, duplicate and differently-cased fields are refused, which
// the standard library's decoder would let pass.
func New(mux *Mux) huma.API {
	strictly()
	format := huma.Format{Marshal: marshal, Unmarshal: unmarshal}
	return humago.New(mux, huma.Config{
		OpenAPI: &huma.OpenAPI{OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "Tillstream", Version: Version,
				Description: "The shop's API: catalogue, orders, payment, and what Stripe calls. Errors are application/problem+json (RFC 9457)."},
			Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"order": {Type: "http", Scheme: "bearer", Description: "The access_token that came with the order"},
					"staff": {Type: "http", Scheme: "bearer", Description: "The ops token"},
				}},
			OnAddOperation: []huma.AddOpFunc{addBodyErrors}},
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
	})
}

// addBodyErrors describes how a body is refused before its operation sees it: too slow, too large, of an unknown type.
func addBodyErrors(_ *huma.OpenAPI, o *huma.Operation) {
	if o.RequestBody == nil {
		return
	}
	problem := o.Responses["500"]
	for _, status := range []int{http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType} {
		code := strconv.Itoa(status)
		if o.Responses[code] == nil {
			o.Responses[code] = &huma.Response{Description: http.StatusText(status), Content: problem.Content}
		}
	}
}

// strictly is a setting of the whole process, made before the first API reads a request.
var strictly = sync.OnceFunc(func() { huma.ValidateStrictCasing = true })

// marshal writes what a client sent in a wrong encoding with replacement characters: a refusal that repeats it must not fail.
func marshal(w io.Writer, v any) error {
	return json.MarshalWrite(w, v, jsontext.AllowInvalidUTF8(true))
}

func unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, v, json.RejectUnknownMembers(true), jsontext.AllowDuplicateNames(false)); err != nil {
		return fmt.Errorf("the body is not valid JSON for this request: %w", err)
	}
	return nil
}
