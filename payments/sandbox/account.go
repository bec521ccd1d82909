package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// account is the Stripe account of the keys, as Stripe shows it (docs.stripe.com/api/accounts/object).
type account struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"`
	ChargesEnabled   bool              `json:"charges_enabled"`
	Country          string            `json:"country"`
	Created          int64             `json:"created"`
	DefaultCurrency  string            `json:"default_currency"`
	DetailsSubmitted bool              `json:"details_submitted"`
	Metadata         map[string]string `json:"metadata"`
	PayoutsEnabled   bool              `json:"payouts_enabled"`
	Type             string            `json:"type"`
}

// accountCreated is the time when every account of a sandbox was created: the date of its API version.
const accountCreated = 1697414400

// idOf returns an id that is the same whenever it is derived from the same text.
func idOf(prefix, text string) string {
	sum := sha256.Sum256([]byte(text))
	return prefix + hex.EncodeToString(sum[:])[:24]
}

// getAccount answers GET /v1/account.
func getAccount(t *tx, _ *call) (any, *apiError) {
	return &account{ID: idOf("acct_", t.server.config.SecretKey), Object: "account", ChargesEnabled: true, Country: "GB", Created: accountCreated,
		DefaultCurrency: "gbp", DetailsSubmitted: true, Metadata: map[string]string{}, PayoutsEnabled: true, Type: "standard"}, nil
}

// webhookEndpoint is an address to which events are delivered (docs.stripe.com/api/webhook_endpoints/object).
type webhookEndpoint struct {
	ID            string            `json:"id"`
	Object        string            `json:"object"`
	APIVersion    string            `json:"api_version"`
	Application   absent            `json:"application"`
	Created       int64             `json:"created"`
	Description   text              `json:"description"`
	EnabledEvents []string          `json:"enabled_events"`
	Livemode      bool              `json:"livemode"`
	Metadata      map[string]string `json:"metadata"`
	Status        string            `json:"status"`
	URL           string            `json:"url"`
}

// endpoints returns the endpoint to which the sandbox delivers, if it has an address.
func (s *Server) endpoints() []*webhookEndpoint {
	address := *s.webhookURL.Load()
	if address == "" {
		return nil
	}
	return []*webhookEndpoint{{ID: idOf("we_", address), Object: "webhook_endpoint", APIVersion: APIVersion, Created: accountCreated,
		EnabledEvents: slices.Clone(s.config.WebhookEvents), Metadata: map[string]string{}, Status: "enabled", URL: address}}
}

// listEndpoints answers GET /v1/webhook_endpoints.
func listEndpoints(t *tx, c *call) (any, *apiError) {
	all := t.server.endpoints()
	indexOf := func(id string) (int, bool) {
		index := slices.IndexFunc(all, func(e *webhookEndpoint) bool { return e.ID == id })
		return index, index >= 0
	}
	indexes, more, problem := readPage(c.form, len(all), indexOf, func(int) bool { return true })
	if problem != nil {
		return nil, problem
	}
	shown := []any{}
	for _, index := range indexes {
		shown = append(shown, all[index])
	}
	return newPage(c.path, shown, more), nil
}
