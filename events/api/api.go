// Package api is the common part of the domains' HTTP APIs. It promises that the requests of all domains are read, authorized,
// counted and, when they fail, answered in the same way.
//
// The life of one request:
//
//	Serve ──► Wrap ──► Routes ──► Require… ──► operation ──► answer
//	          │        │          │            └─ error ──► Problems.Answer ──► problem document (RFC 9457)
//	          │        │          └─ 401 or 404 without the token; the Principal goes into the context
//	          │        └─ 404 and 405 as problem documents
//	          └─ counts time and status by route; answers a panic with 500; keeps answers out of caches; cuts off slow clients
//
// A domain registers its operations on the huma API that [New] returns, with strict JSON. It lists its errors once, in a table
// that gives each sentinel a [Kind] ([Problems]); the errors of the log are in every table.
package api

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Version is the version of the HTTP API in the OpenAPI document.
const Version = "1.0.0"

// MaxBody is the largest request body in bytes, unless a route sets another limit. An order of 800 lines with item
// numbers of 50 bytes fits.
const MaxBody = 64 << 10

// New returns an API on a mux. It reads JSON strictly: fields that are unknown, sent twice or written in another case are
// refused, while the standard library's decoder accepts them.
func New(mux *Mux) huma.API {
	setStrictCasing()
	format := huma.Format{Marshal: marshal, Unmarshal: unmarshal}
	var router huma.API
	router = humago.New(mux, huma.Config{
		OpenAPI: &huma.OpenAPI{OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "Tillstream", Version: Version,
				Description: "The shop's API: catalogue, orders, payments, and the webhook of Stripe. Errors are application/problem+json (RFC 9457)."},
			Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"order": {Type: "http", Scheme: "bearer", Description: "The access_token that came with the order"},
					"staff": {Type: "http", Scheme: "bearer", Description: "The ops token"},
				}},
			OnAddOperation: []huma.AddOpFunc{addBodyErrors, func(_ *huma.OpenAPI, o *huma.Operation) {
				if o.RequestBody != nil { // after the other middlewares, so that a stranger on a staff route gets 401
					o.Middlewares = append(o.Middlewares, requireJSON(router))
				}
			}}},
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
	})
	return router
}

// requireJSON accepts only bodies that say they are JSON. A browser sends forms, plain text and bodies without a type to other
// sites without asking them, so any page could place orders for its visitors.
func requireJSON(router huma.API) Middleware {
	return func(ctx huma.Context, next func(huma.Context)) {
		if kind, _, err := mime.ParseMediaType(ctx.Header("Content-Type")); err != nil || kind != "application/json" {
			_ = huma.WriteErr(router, ctx, http.StatusUnsupportedMediaType, "Please send the body as JSON, with Content-Type: application/json.") // fails only when the client has left
			return
		}
		next(ctx)
	}
}

// addBodyErrors documents the answers to a body that is malformed, too slow, too large or of an unknown type.
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

// setStrictCasing changes a setting of the whole process; it must run before an API reads a request.
var setStrictCasing = sync.OnceFunc(func() { huma.ValidateStrictCasing = true })

// marshal writes invalid UTF-8 as replacement characters, so that an answer can quote the request.
func marshal(w io.Writer, v any) error {
	return json.MarshalWrite(w, v, jsontext.AllowInvalidUTF8(true))
}

func unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, v, json.RejectUnknownMembers(true), jsontext.AllowDuplicateNames(false)); err != nil {
		return fmt.Errorf("the body is not valid JSON for this request: %w", err)
	}
	return nil
}
