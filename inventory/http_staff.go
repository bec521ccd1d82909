package inventory

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/log"
)

// LevelBody is what there is of a SKU: on_hand = available + held.
type LevelBody struct {
	SKU       string `json:"sku"`
	OnHand    int64  `json:"on_hand"`
	Available int64  `json:"available"`
	Held      int64  `json:"held" doc:"Put aside for orders that are not paid yet"`
}

func levelBody(sku string, l events.StockLevel) LevelBody {
	return LevelBody{SKU: sku, OnHand: l.OnHand, Available: l.Available, Held: l.Held}
}

// ListingBody is a listing without its SKU, which stands in the path.
type ListingBody struct {
	Title       string       `json:"title" doc:"1 to 200 characters"`
	Description string       `json:"description,omitempty" doc:"At most 5,000 characters"`
	Price       events.Money `json:"price" doc:"In minor units, tax included"`
	Image       string       `json:"image,omitempty" doc:"A path on this site or an https address; default /images/items/<sku>.svg"`
	Tags        []string     `json:"tags,omitempty" doc:"At most 20 of 1 to 50 characters"`
	OnHand      *int64       `json:"on_hand,omitempty" doc:"How many were counted; left out: the stock stays as it is"`
	Reason      string       `json:"reason,omitempty" doc:"Why the stock is set; default counted"`
}

type itemPutInput struct {
	SKU  string `path:"sku"`
	Body ListingBody
}

type itemPutOutput struct {
	Body struct {
		DetailBody
		Changed bool      `json:"changed" doc:"False when it said all that already"`
		Stock   LevelBody `json:"stock"`
	}
}

type itemImportInput struct {
	Body struct {
		Items []Listing `json:"items" minItems:"1" maxItems:"200" nullable:"false"`
	}
}

// ImportResult is what became of one item of an import.
type ImportResult struct {
	SKU     string `json:"sku"`
	Changed bool   `json:"changed"`
	Error   string `json:"error,omitempty" doc:"Why it was refused; then nothing of it was changed"`
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

// registerStaff adds what only the shop's own people may do.
func (s *Service) registerStaff(api huma.API) {
	staff := huma.Middlewares{s.onlyStaff(api)}
	security := []map[string][]string{{"staff": {}}}
	operation := func(id, method, path, summary string, body int64, errors ...int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Stock"},
			MaxBodyBytes: body, Middlewares: staff, Security: security, Errors: append(errors, 401, 503)}
	}
	huma.Register(api, operation("put-item", http.MethodPut, "/ops/api/items/{sku}", "List an item or change it", maxBody, 400, 409, 422), s.putItem)
	huma.Register(api, operation("import-items", http.MethodPost, "/ops/api/items", "List many items", maxImportBody, 422), s.importItems)
	huma.Register(api, operation("get-stock", http.MethodGet, "/ops/api/stock/{sku}", "What there is of a SKU", maxBody, 400, 404), s.getStock)
	huma.Register(api, operation("adjust-stock", http.MethodPost, "/ops/api/stock/{sku}/adjustments", "Correct what is on hand", maxBody, 400, 404, 409, 422), s.adjustStock)
}

// onlyStaff turns strangers away before their body is looked at.
func (s *Service) onlyStaff(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if s.access.Staff(ctx.Header("Authorization")) {
			next(ctx)
			return
		}
		ctx.SetHeader("WWW-Authenticate", "Bearer")
		if err := huma.WriteErr(api, ctx, http.StatusUnauthorized, "staff only"); err != nil {
			s.logger.Warn("answer a stranger", "error", err)
		}
	}
}

func (s *Service) putItem(ctx context.Context, in *itemPutInput) (*itemPutOutput, error) {
	if err := events.CheckSKU(in.SKU); err != nil {
		return nil, problem(err, "path.sku", in.SKU)
	}
	b := in.Body
	listing := Listing{SKU: in.SKU, Title: b.Title, Description: b.Description, Price: b.Price, Image: b.Image, Tags: b.Tags, OnHand: b.OnHand, Reason: b.Reason}
	puts, err := s.PutItems(ctx, []Listing{listing}, events.ActorOps)
	if err != nil {
		return nil, problem(err, "", nil)
	}
	put := puts[0]
	if put.Err != nil {
		return nil, problem(put.Err, "body", nil)
	}
	var out itemPutOutput
	out.Body.OfferBody = offerBody(Offer{Item: put.Item, Available: put.Level.Available})
	out.Body.Description, out.Body.Changed, out.Body.Stock = put.Item.Description, put.Changed, levelBody(in.SKU, put.Level)
	return &out, nil
}

func (s *Service) importItems(ctx context.Context, in *itemImportInput) (*itemImportOutput, error) {
	puts, err := s.PutItems(ctx, in.Body.Items, events.ActorSystem)
	if err != nil {
		return nil, problem(err, "", nil)
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

// getStock answers from the log, not from the catalogue, so that whoever has just adjusted a level sees it.
func (s *Service) getStock(ctx context.Context, in *skuInput) (*stockLevelOutput, error) {
	stock, _, err := Stocks.Read(ctx, s.log, in.SKU)
	if errors.Is(err, log.ErrNotFound) {
		_, _, err = Items.Read(ctx, s.log, in.SKU) // listed, but nothing was ever booked: there is none of it
	}
	if err != nil {
		return nil, problem(err, "path.sku", in.SKU)
	}
	return &stockLevelOutput{Body: levelBody(in.SKU, stock.Level)}, nil
}

func (s *Service) adjustStock(ctx context.Context, in *stockAdjustInput) (*stockLevelOutput, error) {
	level, err := s.Adjust(ctx, in.SKU, in.Body, events.ActorOps)
	if err != nil {
		return nil, problem(err, "path.sku", in.SKU)
	}
	return &stockLevelOutput{Body: levelBody(in.SKU, level)}, nil
}
