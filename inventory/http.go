package inventory

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/log"
)

// Bounds of request bodies. An import sends 200 items at once, everything else one.
const (
	maxBody       = 64 << 10
	maxImportBody = 1 << 20
)

// OfferBody is an item as the shop window shows it.
type OfferBody struct {
	SKU       string       `json:"sku"`
	Title     string       `json:"title"`
	Price     events.Money `json:"price" doc:"In minor units, tax included"`
	Available int64        `json:"available" doc:"How many can be ordered at this moment"`
	Image     string       `json:"image"`
	Tags      []string     `json:"tags" nullable:"false"`
}

// DetailBody is an item as its own page shows it.
type DetailBody struct {
	OfferBody
	Description string `json:"description"`
}

func offerBody(o Offer) OfferBody {
	return OfferBody{SKU: o.Item.SKU, Title: o.Item.Title, Price: o.Item.Price, Available: o.Available,
		Image: o.Item.Image, Tags: append([]string{}, o.Item.Tags...)}
}

type itemPageInput struct {
	Query  string `query:"q" maxLength:"200" doc:"Words that must all begin a word of title, SKU, tags or description"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"24"`
	Cursor string `query:"cursor" maxLength:"2000" doc:"next_cursor of the page before"`
}

type itemPageOutput struct {
	Body struct {
		Items      []OfferBody `json:"items" nullable:"false"`
		NextCursor string      `json:"next_cursor,omitempty" doc:"Absent on the last page"`
	}
}

type skuInput struct {
	SKU string `path:"sku"`
}

type itemDetailOutput struct {
	Body DetailBody
}

// Register adds the routes of the shop window and those of staff.
func (s *Service) Register(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "list-items", Method: http.MethodGet, Path: "/api/items",
		Summary: "Search the catalogue", Tags: []string{"Catalogue"}, Errors: []int{400, 422, 503}}, s.listItems)
	huma.Register(api, huma.Operation{OperationID: "get-item", Method: http.MethodGet, Path: "/api/items/{sku}",
		Summary: "One item", Tags: []string{"Catalogue"}, Errors: []int{400, 404, 503}}, s.getItem)
	s.registerStaff(api)
}

func (s *Service) listItems(_ context.Context, in *itemPageInput) (*itemPageOutput, error) {
	offers, next, err := s.catalogue.page(in.Query, in.Cursor, in.Limit)
	if err != nil {
		return nil, problem(err, "query.cursor", in.Cursor)
	}
	var out itemPageOutput
	out.Body.Items, out.Body.NextCursor = make([]OfferBody, 0, len(offers)), next
	for _, o := range offers {
		out.Body.Items = append(out.Body.Items, offerBody(o))
	}
	return &out, nil
}

func (s *Service) getItem(_ context.Context, in *skuInput) (*itemDetailOutput, error) {
	if err := events.CheckSKU(in.SKU); err != nil {
		return nil, problem(err, "path.sku", in.SKU)
	}
	offer, err := s.catalogue.offer(in.SKU)
	if err != nil {
		return nil, problem(err, "path.sku", in.SKU)
	}
	return &itemDetailOutput{Body: DetailBody{OfferBody: offerBody(offer), Description: offer.Item.Description}}, nil
}

// problem translates what went wrong into what the client is told. location and value name the part of the request
// that it is about, where it is about one.
func problem(err error, location string, value any) error {
	var invalid *InvalidError
	switch {
	case errors.As(err, &invalid):
		details := make([]error, len(invalid.Fields))
		for i, f := range invalid.Fields {
			details[i] = &huma.ErrorDetail{Location: "body." + f.Field, Message: f.Message}
		}
		return huma.Error422UnprocessableEntity("the request cannot be accepted", details...)
	case errors.Is(err, events.ErrBadID), errors.Is(err, ErrBadCursor):
		return huma.Error400BadRequest("malformed request", &huma.ErrorDetail{Location: location, Message: err.Error(), Value: clipped(value)})
	case errors.Is(err, log.ErrNotFound):
		return huma.Error404NotFound("no such item")
	case errors.Is(err, ErrBelowHeld), errors.Is(err, ErrOutOfRange):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, ErrLoading), errors.Is(err, log.ErrUnavailable), errors.Is(err, log.ErrUnreadable), errors.Is(err, log.ErrContention),
		errors.Is(err, context.Canceled): // given up, because this process stops or the client has gone
		return huma.ErrorWithHeaders(huma.Error503ServiceUnavailable("please try again in a moment"), http.Header{"Retry-After": {"2"}})
	}
	return err
}

// clipped keeps a hostile value from being sent back at full length.
func clipped(value any) any {
	if s, ok := value.(string); ok && len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return value
}
