package inventory

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
)

// LevelBody is the stock of a SKU: on_hand = available + held.
type LevelBody struct {
	SKU       string `json:"sku"`
	OnHand    int64  `json:"on_hand"`
	Available int64  `json:"available"`
	Held      int64  `json:"held" doc:"Held for orders that are not paid yet"`
}

func levelBody(sku string, l events.StockLevel) LevelBody {
	return LevelBody{SKU: sku, OnHand: l.OnHand, Available: l.Available, Held: l.Held}
}

// ListingBody is a listing without its SKU, which is in the path.
type ListingBody struct {
	Title       string       `json:"title" doc:"1 to 200 characters"`
	Description string       `json:"description,omitempty" doc:"At most 5,000 characters"`
	Price       events.Money `json:"price" doc:"In minor units, tax included"`
	Image       string       `json:"image,omitempty" doc:"A path on this site or an https address; default /images/items/<sku>.svg"`
	Tags        []string     `json:"tags,omitempty" doc:"At most 20 of 1 to 50 characters"`
	OnHand      *int64       `json:"on_hand,omitempty" doc:"Units on hand; without it the stock is unchanged"`
	Reason      string       `json:"reason,omitempty" doc:"Reason for setting the stock; default counted"`
}

type itemPutInput struct {
	SKU  string `path:"sku"`
	Body ListingBody
}

type itemPutOutput struct {
	Body struct {
		DetailBody
		Changed bool      `json:"changed" doc:"False if item and stock already had these values"`
		Stock   LevelBody `json:"stock"`
	}
}

type itemImportInput struct {
	Body struct {
		Items []Listing `json:"items" minItems:"1" maxItems:"200" nullable:"false"`
	}
}

// ImportResult is the result of one item of an import.
type ImportResult struct {
	SKU     string `json:"sku"`
	Changed bool   `json:"changed"`
	Error   string `json:"error,omitempty" doc:"Why the item was refused; then nothing was changed"`
}

type itemImportOutput struct {
	Body struct {
		Results []ImportResult `json:"results" nullable:"false" doc:"One per item, in the same order"`
	}
}

type stockLevelOutput struct {
	Body LevelBody
}

type stockAdjustInput struct {
	SKU  string `path:"sku"`
	Body Adjustment
}

// maxImportBody is the most bytes of an import of 200 items.
const maxImportBody = 1 << 20

// registerStaff adds the routes that are for staff alone.
func (s *Service) registerStaff(router huma.API) {
	operation := func(may api.Permission, id, method, path, summary string, body int64, statuses ...int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Stock"},
			MaxBodyBytes: body, Middlewares: huma.Middlewares{api.RequireStaff(router, s.access, may)}, Security: api.StaffSecurity, Errors: append(statuses, 401, 403, 503)}
	}
	huma.Register(router, operation(api.WriteItems, "put-item", http.MethodPut, "/ops/api/items/{sku}", "List an item or change it", api.MaxBody, 400, 409, 422), s.putItem)
	huma.Register(router, operation(api.WriteItems, "import-items", http.MethodPost, "/ops/api/items", "List many items", maxImportBody, 422), s.importItems)
	huma.Register(router, operation(api.ReadAll, "list-stock", http.MethodGet, "/ops/api/stock", "List the stock of all items", api.MaxBody, 400, 422), s.listStock)
	huma.Register(router, operation(api.ReadAll, "get-stock", http.MethodGet, "/ops/api/stock/{sku}", "Read the stock of a SKU", api.MaxBody, 400, 404), s.getStock)
	huma.Register(router, operation(api.WriteStock, "adjust-stock", http.MethodPost, "/ops/api/stock/{sku}/adjustments", "Correct what is on hand", api.MaxBody, 400, 404, 409, 422), s.adjustStock)
}

func (s *Service) putItem(ctx context.Context, in *itemPutInput) (*itemPutOutput, error) {
	if err := events.CheckSKU(in.SKU); err != nil {
		return nil, s.problem(ctx, err)
	}
	b := in.Body
	listing := Listing{SKU: in.SKU, Title: b.Title, Description: b.Description, Price: b.Price, Image: b.Image, Tags: b.Tags, OnHand: b.OnHand, Reason: b.Reason}
	puts, err := s.PutItems(ctx, []Listing{listing}, api.PrincipalOf(ctx).Author(b.Reason))
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	put := puts[0]
	if put.Err != nil {
		return nil, s.problem(ctx, put.Err)
	}
	var out itemPutOutput
	out.Body.OfferBody = offerBody(Offer{Item: put.Item, Available: put.Level.Available})
	out.Body.Description, out.Body.Changed, out.Body.Stock = put.Item.Description, put.Changed, levelBody(in.SKU, put.Level)
	return &out, nil
}

func (s *Service) importItems(ctx context.Context, in *itemImportInput) (*itemImportOutput, error) {
	puts, err := s.PutItems(ctx, in.Body.Items, api.PrincipalOf(ctx).Author("import"))
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	var out itemImportOutput
	out.Body.Results = make([]ImportResult, len(puts))
	for i, put := range puts {
		out.Body.Results[i] = ImportResult{SKU: put.SKU, Changed: put.Changed}
		if put.Err != nil {
			out.Body.Results[i].Error = put.Err.Error()
		}
	}
	return &out, nil
}

// getStock answers from the log and not from the catalogue, so it shows an adjustment that has just been made.
func (s *Service) getStock(ctx context.Context, in *skuInput) (*stockLevelOutput, error) {
	stock, _, err := Stocks.Read(ctx, s.log, in.SKU)
	if errors.Is(err, eventlog.ErrNotFound) {
		_, _, err = Items.Read(ctx, s.log, in.SKU) // an item without movements has no stock
	}
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &stockLevelOutput{Body: levelBody(in.SKU, stock.Level)}, nil
}

func (s *Service) adjustStock(ctx context.Context, in *stockAdjustInput) (*stockLevelOutput, error) {
	level, err := s.Adjust(ctx, in.SKU, in.Body, api.PrincipalOf(ctx).Author(in.Body.Reason))
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &stockLevelOutput{Body: levelBody(in.SKU, level)}, nil
}
