package sandbox

import "net/http"

// findIntent returns a copy of the intent that the path names. A shopper has
// to show its client secret.
func (t *tx) findIntent(c *call) (*intent, *apiError) {
	in := t.intent(c.target)
	if in == nil {
		return nil, notFound("payment_intent", "intent", c.target)
	}
	secret, sent := c.form["client_secret"]
	if (sent || c.public) && !same(secret, in.ClientSecret) {
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
	keep := func(place int) bool { return created.includes(intents.rows[place].created) }
	places, more, problem := readPage(c.form, len(intents.rows), intents.place, keep)
	if problem != nil {
		return nil, problem
	}
	shown := newPage(c.path, len(places), more)
	for _, place := range places {
		in, err := intents.at(place)
		if found(t, in, err) == nil {
			break
		}
		shown.Data = append(shown.Data, c.expanded(t, in))
	}
	return shown, nil
}

// getCharge answers GET /v1/charges/{id}.
func getCharge(t *tx, c *call) (any, *apiError) {
	ch := t.charge(c.target)
	if ch == nil {
		return nil, notFound("charge", "id", c.target)
	}
	return ch, nil
}

// balance is how much the shop has, by currency.
type balance struct {
	Object    string          `json:"object"`
	Available []balanceAmount `json:"available"`
	Livemode  bool            `json:"livemode"`
	Pending   []balanceAmount `json:"pending"`
}

type balanceAmount struct {
	Amount      int64            `json:"amount"`
	Currency    string           `json:"currency"`
	SourceTypes map[string]int64 `json:"source_types"`
}

// getBalance answers GET /v1/balance: what was captured less what was
// refunded. The sandbox takes no fees and pays nothing out.
func getBalance(t *tx, _ *call) (any, *apiError) {
	shown := &balance{Object: "balance", Available: []balanceAmount{}, Pending: []balanceAmount{}}
	for _, currency := range sortedKeys(t.server.funds) {
		amount := t.server.funds[currency]
		shown.Available = append(shown.Available, balanceAmount{
			Amount: amount, Currency: currency, SourceTypes: map[string]int64{"card": amount},
		})
	}
	return shown, nil
}

// unknownRoute answers everything that is not there.
func unknownRoute(r *http.Request) *apiError {
	e := invalid("", "", "Unrecognized request URL (%s: %s).", r.Method, r.URL.Path)
	e.status = http.StatusNotFound
	return e
}
