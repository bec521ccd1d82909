package sandbox

import (
	"net/url"
	"time"
)

// The statuses of an intent. The package comment draws how they follow each other.
const (
	requiresPaymentMethod = "requires_payment_method"
	requiresConfirmation  = "requires_confirmation"
	requiresAction        = "requires_action"
	requiresCapture       = "requires_capture"
	succeeded             = "succeeded"
	canceled              = "canceled"
)

const (
	captureAutomatic      = "automatic"
	captureAutomaticAsync = "automatic_async"
	captureManual         = "manual"
)

// intent is a PaymentIntent as Stripe shows it to the holder of a secret key.
type intent struct {
	ID                        string            `json:"id"`
	Object                    string            `json:"object"`
	Amount                    int64             `json:"amount"`
	AmountCapturable          int64             `json:"amount_capturable"`
	AmountDetails             tipDetails        `json:"amount_details"`
	AmountReceived            int64             `json:"amount_received"`
	Application               absent            `json:"application"`
	ApplicationFeeAmount      absent            `json:"application_fee_amount"`
	AutomaticPaymentMethods   *automaticMethods `json:"automatic_payment_methods"`
	CanceledAt                number            `json:"canceled_at"`
	CancellationReason        text              `json:"cancellation_reason"`
	CaptureMethod             string            `json:"capture_method"`
	ClientSecret              string            `json:"client_secret"`
	ConfirmationMethod        string            `json:"confirmation_method"`
	Created                   int64             `json:"created"`
	Currency                  string            `json:"currency"`
	Customer                  text              `json:"customer"`
	Description               text              `json:"description"`
	Invoice                   absent            `json:"invoice"`
	LastPaymentError          *paymentError     `json:"last_payment_error"`
	LatestCharge              text              `json:"latest_charge"`
	Livemode                  bool              `json:"livemode"`
	Metadata                  map[string]string `json:"metadata"`
	NextAction                *nextAction       `json:"next_action"`
	OnBehalfOf                absent            `json:"on_behalf_of"`
	PaymentMethod             text              `json:"payment_method"`
	PaymentMethodOptions      methodOptions     `json:"payment_method_options"`
	PaymentMethodTypes        []string          `json:"payment_method_types"`
	Processing                absent            `json:"processing"`
	ReceiptEmail              text              `json:"receipt_email"`
	Review                    absent            `json:"review"`
	SetupFutureUsage          text              `json:"setup_future_usage"`
	Shipping                  *shipping         `json:"shipping"`
	Source                    absent            `json:"source"`
	StatementDescriptor       text              `json:"statement_descriptor"`
	StatementDescriptorSuffix text              `json:"statement_descriptor_suffix"`
	Status                    string            `json:"status"`
	TransferData              absent            `json:"transfer_data"`
	TransferGroup             text              `json:"transfer_group"`

	// private is stored in the journal and never shown.
	private intentPrivate
}

// intentPrivate is the part of an intent that is only in the journal.
type intentPrivate struct {
	// Card and Debit are what to pay with. Both are nil when a new payment method is needed.
	Card  *card  `json:"card,omitempty"`
	Debit *debit `json:"debit,omitempty"`
	// ReturnURL is where the shopper returns to after authentication.
	ReturnURL string `json:"return_url,omitempty"`
}

// later returns what happens after the payment.
func (p intentPrivate) later() string {
	switch {
	case p.Debit != nil:
		return p.Debit.Later
	case p.Card != nil:
		return p.Card.Later
	}
	return ""
}

type automaticMethods struct {
	AllowRedirects string `json:"allow_redirects"`
	Enabled        bool   `json:"enabled"`
}

type tipDetails struct {
	Tip empty `json:"tip"`
}

// paymentError is the reason why the last attempt to pay failed.
type paymentError struct {
	Charge        string         `json:"charge,omitempty"`
	Code          string         `json:"code"`
	DeclineCode   string         `json:"decline_code,omitempty"`
	DocURL        string         `json:"doc_url"`
	Message       string         `json:"message"`
	PaymentMethod *paymentMethod `json:"payment_method"`
	Type          string         `json:"type"`
}

// nextAction is the action that the shopper must take.
type nextAction struct {
	RedirectToURL *redirectToURL `json:"redirect_to_url,omitempty"`
	Type          string         `json:"type"`
	UseStripeSDK  *useStripeSDK  `json:"use_stripe_sdk,omitempty"`
}

type redirectToURL struct {
	ReturnURL string `json:"return_url"`
	URL       string `json:"url"`
}

type useStripeSDK struct {
	StripeJS string `json:"stripe_js"`
	Type     string `json:"type"`
	URL      string `json:"url"`
}

func newIntent(now time.Time) *intent {
	id := newID("pi")
	return &intent{
		ID: id, Object: "payment_intent", ClientSecret: id + "_secret_" + randomText(25),
		ConfirmationMethod: "automatic", Created: now.Unix(), Status: requiresPaymentMethod,
	}
}

// confirmable reports whether an attempt to pay may begin.
func (in *intent) confirmable() bool {
	switch in.Status {
	case requiresPaymentMethod, requiresConfirmation, requiresAction:
		return true
	}
	return false
}

// cancelable reports whether the intent can be canceled.
func (in *intent) cancelable() bool {
	return in.confirmable() || in.Status == requiresCapture
}

// use sets what the next attempt is paid with.
func (in *intent) use(m *means) {
	in.private.Card, in.private.Debit = m.card, m.debit
	in.PaymentMethod = text(newID("pm"))
	in.LastPaymentError, in.NextAction = nil, nil
	in.Status = requiresConfirmation
}

// requireAction sends the shopper to their bank, which is a page of the sandbox.
func (in *intent) requireAction(baseURL string) {
	page := baseURL + "/3ds/" + in.ID + "?client_secret=" + url.QueryEscape(in.ClientSecret)
	in.Status = requiresAction
	if in.private.ReturnURL == "" {
		in.NextAction = &nextAction{
			Type:         "use_stripe_sdk",
			UseStripeSDK: &useStripeSDK{Type: "three_d_secure_redirect", StripeJS: page, URL: page},
		}
		return
	}
	in.NextAction = &nextAction{
		Type:          "redirect_to_url",
		RedirectToURL: &redirectToURL{ReturnURL: in.private.ReturnURL, URL: page},
	}
}

// authorize records a charge that the bank approved.
func (in *intent) authorize(ch *charge) {
	in.LatestCharge, in.NextAction, in.LastPaymentError = text(ch.ID), nil, nil
	if in.manual() {
		in.Status, in.AmountCapturable = requiresCapture, in.Amount
		return
	}
	in.Status, in.AmountReceived = succeeded, in.Amount
}

// decline records a failed attempt. The intent then needs another card.
func (in *intent) decline(d decline, chargeID string, now time.Time) *apiError {
	method := in.private.method(string(in.PaymentMethod), now.Unix())
	in.LastPaymentError = &paymentError{
		Charge: chargeID, Code: d.code, DeclineCode: d.declineCode, DocURL: docURL(d.code),
		Message: d.message, PaymentMethod: method, Type: typeCard,
	}
	if in.private.Debit != nil {
		in.LastPaymentError.Type = typeRequest
	}
	in.Status, in.PaymentMethod, in.NextAction, in.private.Card, in.private.Debit = requiresPaymentMethod, "", nil, nil, nil
	if chargeID != "" {
		in.LatestCharge = text(chargeID)
	}
	return declined(in, d, chargeID, method)
}

// capture records that an amount was captured and, if it was the last, the rest of the authorization released.
func (in *intent) capture(r captureRequest) {
	in.AmountReceived += r.amount
	in.AmountCapturable -= r.amount
	if r.final {
		in.Status, in.AmountCapturable = succeeded, 0
	}
}

// cancel records the cancellation.
func (in *intent) cancel(reason string, now time.Time) {
	in.Status, in.AmountCapturable, in.NextAction = canceled, 0, nil
	in.CanceledAt, in.CancellationReason = number(now.Unix()), text(reason)
	in.private.Card = nil
}

// publicIntent is the part of an intent that a shopper's browser may read, without order and charges.
type publicIntent struct {
	ID                      string            `json:"id"`
	Object                  string            `json:"object"`
	Amount                  int64             `json:"amount"`
	AmountDetails           tipDetails        `json:"amount_details"`
	AutomaticPaymentMethods *automaticMethods `json:"automatic_payment_methods"`
	CanceledAt              number            `json:"canceled_at"`
	CancellationReason      text              `json:"cancellation_reason"`
	CaptureMethod           string            `json:"capture_method"`
	ClientSecret            string            `json:"client_secret"`
	ConfirmationMethod      string            `json:"confirmation_method"`
	Created                 int64             `json:"created"`
	Currency                string            `json:"currency"`
	Description             text              `json:"description"`
	LastPaymentError        *paymentError     `json:"last_payment_error"`
	Livemode                bool              `json:"livemode"`
	NextAction              *nextAction       `json:"next_action"`
	PaymentMethod           text              `json:"payment_method"`
	PaymentMethodTypes      []string          `json:"payment_method_types"`
	Processing              absent            `json:"processing"`
	ReceiptEmail            text              `json:"receipt_email"`
	SetupFutureUsage        text              `json:"setup_future_usage"`
	Shipping                *shipping         `json:"shipping"`
	Source                  absent            `json:"source"`
	Status                  string            `json:"status"`
}

func newPublicIntent(in *intent) *publicIntent {
	return &publicIntent{
		ID: in.ID, Object: in.Object, Amount: in.Amount,
		AutomaticPaymentMethods: in.AutomaticPaymentMethods, CanceledAt: in.CanceledAt,
		CancellationReason: in.CancellationReason, CaptureMethod: in.CaptureMethod, ClientSecret: in.ClientSecret,
		ConfirmationMethod: in.ConfirmationMethod, Created: in.Created, Currency: in.Currency,
		Description: in.Description, LastPaymentError: in.LastPaymentError, NextAction: in.NextAction,
		PaymentMethod: in.PaymentMethod, PaymentMethodTypes: in.PaymentMethodTypes, ReceiptEmail: in.ReceiptEmail,
		SetupFutureUsage: in.SetupFutureUsage, Shipping: in.Shipping, Status: in.Status,
	}
}

// expandedIntent shows the newest charge in full instead of its id.
type expandedIntent struct {
	*intent
	LatestCharge *charge `json:"latest_charge"`
}

// visible returns the part of the intent that the caller may read: all of it with the secret key.
func (c *call) visible(in *intent) any {
	if c.public {
		return newPublicIntent(in)
	}
	return in
}

// expanded returns the same as visible, with the newest charge in full if the request asks for it.
func (c *call) expanded(t *tx, in *intent) any {
	if c.public || !c.expands("latest_charge") {
		return c.visible(in)
	}
	return &expandedIntent{intent: in, LatestCharge: t.newestCharge(string(in.LatestCharge))}
}

// expands reports whether the request asks for the property in full, for one object or for those of a list.
func (c *call) expands(property string) bool {
	for _, requested := range c.form.list("expand") {
		if requested == property || requested == "data."+property {
			return true
		}
	}
	return false
}

// findIntent returns a copy of the intent in the path. A shopper's request needs its client secret.
func (t *tx) findIntent(c *call) (*intent, *apiError) {
	in := t.intent(c.target)
	if in == nil {
		return nil, notFound("payment_intent", "intent", c.target)
	}
	secret, sent := c.form["client_secret"]
	if (sent || c.public) && !equal(secret, in.ClientSecret) {
		return nil, invalid("client_secret", "payment_intent_invalid_parameter", "The client_secret provided does not match the client_secret associated with the PaymentIntent.")
	}
	return in, nil
}

// getIntent answers GET /v1/payment_intents/{id}.
func getIntent(t *tx, c *call) (any, *apiError) {
	in, problem := t.findIntent(c)
	if problem != nil {
		return nil, problem
	}
	return in, nil
}

// listIntents answers GET /v1/payment_intents, newest first.
func listIntents(t *tx, c *call) (any, *apiError) {
	created, problem := readTimeRange(c.form, "created")
	if problem != nil {
		return nil, problem
	}
	intents := t.server.intents
	match := func(index int) bool { return created.includes(intents.rows[index].created) }
	indexes, more, problem := readPage(c.form, len(intents.rows), intents.index, match)
	if problem != nil {
		return nil, problem
	}
	return newPage(c.path, t.showIntents(c, indexes), more), nil
}

// showIntents returns the visible parts of the intents, up to the first that cannot be read.
func (t *tx) showIntents(c *call, indexes []int) []any {
	shown := make([]any, 0, len(indexes))
	for _, index := range indexes {
		in, err := t.server.intents.get(index)
		if orFail(t, in, err) == nil {
			break
		}
		shown = append(shown, c.expanded(t, in))
	}
	return shown
}
