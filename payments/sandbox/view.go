package sandbox

// publicIntent is what a shopper's browser may see of an intent: nothing that
// the shop keeps about the order, and nothing of its charges.
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

func publicView(in *intent) *publicIntent {
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

// view is the intent as the caller may see it.
func (c *call) view(in *intent) any {
	if c.public {
		return publicView(in)
	}
	return in
}

// expanded is the intent as the caller may see it, with what it asked to
// expand. A charge of this very request is not on the shelf yet.
func (c *call) expanded(t *tx, in *intent) any {
	if c.public || !c.expands("latest_charge") {
		return c.view(in)
	}
	return &expandedIntent{intent: in, LatestCharge: t.newestCharge(string(in.LatestCharge))}
}

// expands reports whether the caller asked to see the property in full, alone
// or as part of a list.
func (c *call) expands(property string) bool {
	for _, asked := range c.form.list("expand") {
		if asked == property || asked == "data."+property {
			return true
		}
	}
	return false
}
