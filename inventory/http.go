package inventory

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
)

// OfferBody is an item in a list of the catalogue.
type OfferBody struct {
	SKU       string       `json:"sku"`
	Title     string       `json:"title"`
	Price     events.Money `json:"price" doc:"In minor units, tax included"`
	Available int64        `json:"available" doc:"How many can be ordered at this moment"`
	Image     string       `json:"image"`
	Tags      []string     `json:"tags" nullable:"false"`
}

// DetailBody is an item with its description.
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

// problems maps the errors of this API to its answers.
var problems = []api.Problem{
	{Err: events.ErrBadID, Kind: api.Malformed, Detail: "The item number is not valid.", Location: "path.sku"},
	{Err: eventlog.ErrNotFound, Kind: api.NotFound, Detail: "There is no such item."},
	{Err: ErrBelowHeld, Kind: api.Conflict},
	{Err: ErrOutOfRange, Kind: api.Conflict},
	{Err: ErrChanged, Kind: api.Conflict},
	{Err: ErrLoading, Kind: api.Unavailable},
}

func (s *Service) problem(ctx context.Context, err error) error {
	return api.Problems{Logger: s.logger, Table: problems}.Answer(ctx, err)
}

// Register adds the routes of the catalogue and those of staff.
func (s *Service) Register(router huma.API) {
	huma.Register(router, huma.Operation{OperationID: "list-items", Method: http.MethodGet, Path: "/api/items",
		Summary: "Search the catalogue", Tags: []string{"Catalogue"}, Errors: []int{400, 422, 503}}, s.listItems)
	huma.Register(router, huma.Operation{OperationID: "get-item", Method: http.MethodGet, Path: "/api/items/{sku}",
		Summary: "One item", Tags: []string{"Catalogue"}, Errors: []int{400, 404, 503}}, s.getItem)
	s.registerStaff(router)
}

func (s *Service) listItems(ctx context.Context, in *itemPageInput) (*itemPageOutput, error) {
	offers, next, err := s.catalogue.page(in.Query, in.Cursor, in.Limit)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	var out itemPageOutput
	out.Body.Items, out.Body.NextCursor = make([]OfferBody, 0, len(offers)), next
	for _, o := range offers {
		out.Body.Items = append(out.Body.Items, offerBody(o))
	}
	return &out, nil
}

func (s *Service) getItem(ctx context.Context, in *skuInput) (*itemDetailOutput, error) {
	if err := events.CheckSKU(in.SKU); err != nil {
		return nil, s.problem(ctx, err)
	}
	offer, err := s.catalogue.offer(in.SKU)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &itemDetailOutput{Body: DetailBody{OfferBody: offerBody(offer), Description: offer.Item.Description}}, nil
}
