package sandbox

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
