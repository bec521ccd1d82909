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
	PaymentMethodOptions      empty             `json:"payment_method_options"`
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
	// Card is the card to pay with, nil when a new one is needed.
	Card *card `json:"card,omitempty"`
	// ReturnURL is where the shopper returns to after authentication.
	ReturnURL string `json:"return_url,omitempty"`
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

// use sets the card of the next attempt.
func (in *intent) use(c *card) {
	in.private.Card = c
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
	if in.CaptureMethod == captureManual {
		in.Status, in.AmountCapturable = requiresCapture, in.Amount
		return
	}
	in.Status, in.AmountReceived = succeeded, in.Amount
}

// decline records a failed attempt. The intent then needs another card.
func (in *intent) decline(d decline, chargeID string, now time.Time) *apiError {
	method := in.private.Card.method(string(in.PaymentMethod), now.Unix())
	in.LastPaymentError = &paymentError{
		Charge: chargeID, Code: d.code, DeclineCode: d.declineCode, DocURL: docURL(d.code),
		Message: d.message, PaymentMethod: method, Type: typeCard,
	}
	in.Status, in.PaymentMethod, in.NextAction, in.private.Card = requiresPaymentMethod, "", nil, nil
	if chargeID != "" {
		in.LatestCharge = text(chargeID)
	}
	return declined(in, d, chargeID, method)
}

// capture records that amount was captured and the rest of the authorization released.
func (in *intent) capture(amount int64) {
	in.Status, in.AmountReceived, in.AmountCapturable = succeeded, amount, 0
}

// cancel records the cancellation.
func (in *intent) cancel(reason string, now time.Time) {
	in.Status, in.AmountCapturable, in.NextAction = canceled, 0, nil
	in.CanceledAt, in.CancellationReason = number(now.Unix()), text(reason)
	in.private.Card = nil
}
