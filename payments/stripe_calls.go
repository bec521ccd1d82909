package payments

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"tillstream/events"
)

// The metadata keys that link Stripe's objects to the shop's.
const (
	metadataOrder   = "order_id"
	metadataNumber  = "order_number"
	metadataPayment = "payment_id"
	metadataRefund  = "refund_id"
)

// metadataShopper is a hint for the rules of Radar, Stripe's protection against fraud: whether a guest pays. The metadata has no
// personal data.
const metadataShopper = "shopper"

// stripePage is the number of objects on a page of a list, which is the largest that Stripe allows.
const stripePage = 100

// CreateIntent implements [Gateway].
func (g *stripeGateway) CreateIntent(ctx context.Context, p Payment) (Intent, error) {
	params := &stripe.PaymentIntentParams{
		Params:      idempotent(ctx, p.ID+"/create/v1"),
		Amount:      stripe.Int64(p.Amount.Amount),
		Currency:    stripe.String(strings.ToLower(p.Amount.Currency)),
		Description: stripe.String("Order " + p.Number),
		Metadata:    map[string]string{metadataOrder: p.OrderID, metadataNumber: p.Number, metadataPayment: p.ID},
	}
	setCapture(params, p.Capture)
	setMethods(params, p)
	if p.Shopper != "" {
		params.Metadata[metadataShopper] = p.Shopper
	}
	pi, err := g.intents.New(params)
	return intentOrError(ctx, pi, err, opCreateIntent, "of payment "+p.ID)
}

// RetrieveIntent implements [Gateway].
func (g *stripeGateway) RetrieveIntent(ctx context.Context, id string) (Intent, error) {
	params := &stripe.PaymentIntentParams{Params: stripe.Params{Context: ctx}}
	params.AddExpand("latest_charge")
	pi, err := g.intents.Get(id, params)
	return intentOrError(ctx, pi, err, opRetrieveIntent, id)
}

// Cancel implements [Gateway].
func (g *stripeGateway) Cancel(ctx context.Context, p Payment) (Intent, error) {
	pi, err := bypassReplay(ctx, p.ID+"/cancel/v1", func(params stripe.Params) (*stripe.PaymentIntent, error) {
		return g.intents.Cancel(p.PaymentIntent, &stripe.PaymentIntentCancelParams{Params: params})
	})
	return intentOrError(ctx, pi, err, opCancel, p.PaymentIntent)
}

// Refund implements [Gateway].
func (g *stripeGateway) Refund(ctx context.Context, p Payment, refundID string, amount events.Money) (StripeRefund, error) {
	re, err := g.refunds.New(&stripe.RefundParams{
		Params:        idempotent(ctx, p.ID+"/refund/"+refundID),
		PaymentIntent: stripe.String(p.PaymentIntent),
		Amount:        stripe.Int64(amount.Amount),
		Metadata:      map[string]string{metadataOrder: p.OrderID, metadataPayment: p.ID, metadataRefund: refundID},
	})
	if err != nil {
		return StripeRefund{}, classify(ctx, err, opCreateRefund, refundID)
	}
	return refundOf(re), nil
}

// ListRefunds implements [Gateway].
func (g *stripeGateway) ListRefunds(ctx context.Context, intent string) ([]StripeRefund, error) {
	list := g.refunds.List(&stripe.RefundListParams{
		ListParams: stripe.ListParams{Context: ctx, Limit: stripe.Int64(stripePage)}, PaymentIntent: stripe.String(intent)})
	var refunds []StripeRefund
	read := entries{op: opListRefunds, pages: pages{}}
	for list.Next() {
		refunds = append(refunds, refundOf(list.Refund()))
		if err := read.next(list.Refund().ID); err != nil {
			return nil, err
		}
	}
	if err := list.Err(); err != nil {
		return nil, classify(ctx, err, opListRefunds, "of "+intent)
	}
	return refunds, nil
}

// rawEvents is a page of the event list with undecoded entries.
type rawEvents struct {
	stripe.APIResource
	HasMore bool              `json:"has_more"`
	Data    []json.RawMessage `json:"data"`
}

// ListEvents implements [Gateway].
func (g *stripeGateway) ListEvents(ctx context.Context, since, until time.Time, types []string, fn func(RawEvent) error) error {
	params := &stripe.EventListParams{Types: stripe.StringSlice(types),
		ListParams:   stripe.ListParams{Limit: stripe.Int64(stripePage)},
		CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix(), LesserThanOrEqual: until.Unix()}}
	read := pages{}
	for {
		values, page := &form.Values{}, &rawEvents{}
		form.AppendTo(values, params)
		err := g.backend.CallRaw(http.MethodGet, "/v1/events", g.key, values, &stripe.Params{Context: ctx}, page)
		if err != nil {
			return classify(ctx, err, opListEvents, "since "+since.UTC().Format(time.RFC3339))
		}
		last := ""
		for _, body := range page.Data {
			raw := rawEvent(body)
			if err := fn(raw); err != nil {
				return err
			}
			last = cmp.Or(raw.ID, last)
		}
		if !page.HasMore || last == "" { // without an id there is no next page
			return nil
		}
		if err := read.turn(opListEvents, last); err != nil {
			return err
		}
		params.StartingAfter = stripe.String(last)
	}
}

// rawEvent returns an entry of the list with the id and time that can be read; the others are zero. The caller finds what is wrong with
// the entry when it reads the whole.
func rawEvent(body json.RawMessage) RawEvent {
	var head struct {
		ID      string `json:"id"`
		Created int64  `json:"created"`
	}
	_ = json.Unmarshal(body, &head) // reads the other fields when one has another type
	return RawEvent{ID: head.ID, Created: time.Unix(head.Created, 0), Body: body}
}

func idempotent(ctx context.Context, key string) stripe.Params {
	return stripe.Params{Context: ctx, IdempotencyKey: stripe.String(key)}
}

// bypassReplay makes a call under a key, and repeats it without the key if the answer is a replayed error, or if the key was used with
// other parameters. Stripe stores a refusal or a 500 under the key for a day, even after the bank has answered or the fault has
// passed, and the shopper would wait that long for the goods or the money. The repetition is safe, because Stripe captures or cancels
// an intent only once. A second creation or refund would succeed, so those calls always use their key.
func bypassReplay(ctx context.Context, key string, call func(stripe.Params) (*stripe.PaymentIntent, error)) (*stripe.PaymentIntent, error) {
	pi, err := call(idempotent(ctx, key))
	if needsNewKey(err) {
		return call(stripe.Params{Context: ctx}) // the SDK generates a key
	}
	return pi, err
}

// needsNewKey reports whether an error is one that Stripe has stored under the key of the request, or tells that the key was used with
// other parameters.
func needsNewKey(err error) bool {
	var answer *stripe.Error
	if !errors.As(err, &answer) {
		return false
	}
	replayed := answer.LastResponse != nil && answer.LastResponse.Header.Get("Idempotent-Replayed") == "true"
	return replayed || answer.Type == stripe.ErrorTypeIdempotency && answer.HTTPStatusCode == http.StatusBadRequest
}

func intentOrError(ctx context.Context, pi *stripe.PaymentIntent, err error, op operation, detail string) (Intent, error) {
	if err != nil {
		return Intent{}, classify(ctx, err, op, detail)
	}
	return intentOf(pi), nil
}

// intentOf converts Stripe's object. A failed attempt without a charge (3-D Secure failed) has no Fact here; a webhook about it
// supplies its own id.
func intentOf(pi *stripe.PaymentIntent) Intent {
	in := Intent{
		ID: pi.ID, PaymentID: pi.Metadata[metadataPayment], OrderID: pi.Metadata[metadataOrder], Status: IntentStatus(pi.Status), Livemode: pi.Livemode,
		Amount:     events.Money{Amount: pi.Amount, Currency: strings.ToUpper(string(pi.Currency))},
		Capturable: pi.AmountCapturable, Received: pi.AmountReceived,
		Cancellation: string(pi.CancellationReason), ClientSecret: pi.ClientSecret, Method: methodOf(pi),
	}
	if pi.LatestCharge != nil {
		in.Charge = pi.LatestCharge.ID
		in.CaptureBefore, in.Multicapture = authorizationOf(pi.LatestCharge)
	}
	if last := pi.LastPaymentError; last != nil {
		in.LastError = &Attempt{Fact: last.ChargeID,
			Decline: Decline{Code: string(last.Code), DeclineCode: string(last.DeclineCode), Message: last.Msg}}
	}
	return in
}

func refundOf(re *stripe.Refund) StripeRefund {
	r := StripeRefund{ID: re.ID, RefundID: re.Metadata[metadataRefund], Status: RefundStatus(re.Status), Failure: string(re.FailureReason),
		Amount: events.Money{Amount: re.Amount, Currency: strings.ToUpper(string(re.Currency))}}
	r.Release = r.RefundID == "" && re.Status == stripe.RefundStatusSucceeded && re.BalanceTransaction == nil
	if re.Charge != nil {
		r.Charge = re.Charge.ID
	}
	return r
}
