package payments

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// AccountCheck says which Stripe account and which webhook endpoint [AccountCheck.Run] compares with what the shop needs. Nothing is
// changed at Stripe.
type AccountCheck struct {
	APIBase        string       // address of Stripe's API; default: Stripe's own
	Client         *http.Client // default: one that waits as long for an answer as the shop does
	PublicURL      string       // address at which Stripe reaches the shop; required
	PublishableKey string       // pk_…; required
	SecretKey      string       // sk_… or rk_…; required
}

// CheckReport is the result of an [AccountCheck].
type CheckReport struct {
	OK      bool        `json:"ok"` // nothing must be fixed
	Mode    string      `json:"mode"`
	Account string      `json:"account,omitempty"` // acct_…
	Wanted  Wanted      `json:"wanted"`
	Items   []CheckItem `json:"items"`
}

// Wanted is what the webhook endpoint of the shop must have.
type Wanted struct {
	URL        string   `json:"url"`
	APIVersion string   `json:"api_version"`
	Events     []string `json:"enabled_events"`
}

// CheckItem is one thing that was checked. An item with a Fix that is OK is a hint.
type CheckItem struct {
	Item  string `json:"item"`
	OK    bool   `json:"ok"`
	Found string `json:"found"`
	Fix   string `json:"fix,omitempty"`
}

const (
	modeLive = "live"
	modeTest = "test"
)

// webhookPath is the path of the API to which Stripe posts events.
const webhookPath = "/webhooks/stripe"

// Run asks Stripe and returns what it found. It returns an error if a key is not one, or if Stripe does not answer.
func (c AccountCheck) Run(ctx context.Context) (CheckReport, error) {
	live, err := livemode("SecretKey", c.SecretKey, "sk", "rk")
	if err != nil {
		return CheckReport{}, err
	}
	publishable, err := livemode("PublishableKey", c.PublishableKey, "pk")
	if err != nil {
		return CheckReport{}, err
	}
	r := &CheckReport{OK: true, Mode: modeTest, Wanted: Wanted{URL: strings.TrimRight(c.PublicURL, "/") + webhookPath,
		APIVersion: StripeAPIVersion, Events: WebhookEventTypes()}}
	if live {
		r.Mode = modeLive
	}
	r.require("mode of the keys", live == publishable, r.Mode, "secret key and publishable key must be of the same mode: copy both from the same page of Stripe's dashboard")
	r.require("address for Stripe", !live || strings.HasPrefix(c.PublicURL, "https://"), c.PublicURL, "in live mode Stripe posts events to https addresses only: set PUBLIC_URL")
	for _, part := range []func(context.Context, *CheckReport) error{c.checkAccount, c.checkPermissions, c.checkEndpoints} {
		if err := part(ctx, r); err != nil || r.keyRefused() {
			return *r, err
		}
	}
	return *r, nil
}

// keyRefused begins what was found if Stripe does not know the key. It refuses every other request, too.
const keyRefused = "HTTP 401"

func (r *CheckReport) keyRefused() bool {
	return slices.ContainsFunc(r.Items, func(i CheckItem) bool { return strings.HasPrefix(i.Found, keyRefused) })
}

// require adds an item that must be fixed unless ok.
func (r *CheckReport) require(item string, ok bool, found, fix string) {
	if ok {
		fix = ""
	}
	r.OK = r.OK && ok
	r.Items = append(r.Items, CheckItem{Item: item, OK: ok, Found: found, Fix: fix})
}

// advise adds an item with a hint unless ok.
func (r *CheckReport) advise(item string, ok bool, found, hint string) {
	if ok {
		hint = ""
	}
	r.Items = append(r.Items, CheckItem{Item: item, OK: true, Found: found, Fix: hint})
}

// checkAccount checks that the account can take and pay out money. In test mode it need not.
func (c AccountCheck) checkAccount(ctx context.Context, r *CheckReport) error {
	var account struct {
		ID              string `json:"id"`
		Country         string `json:"country"`
		DefaultCurrency string `json:"default_currency"`
		ChargesEnabled  bool   `json:"charges_enabled"`
		PayoutsEnabled  bool   `json:"payouts_enabled"`
	}
	refusal, err := c.get(ctx, "account", &account)
	if err != nil {
		return err
	}
	if refusal != "" {
		r.require("account", false, refusal, remedy(refusal, "read access to the account"))
		return nil
	}
	r.Account = account.ID
	r.require("account", true, fmt.Sprintf("%s, country %s, settled in %s", account.ID, account.Country, strings.ToUpper(account.DefaultCurrency)), "")
	check := r.advise
	if r.Mode == modeLive {
		check = r.require
	}
	check("charges", account.ChargesEnabled, enabled(account.ChargesEnabled), "complete the account in Stripe's dashboard; until then it can take no live payments")
	check("payouts", account.PayoutsEnabled, enabled(account.PayoutsEnabled), "add a bank account in Stripe's dashboard; until then Stripe keeps the money")
	return nil
}

func enabled(on bool) string {
	if on {
		return "enabled"
	}
	return "disabled"
}

// readPermissions are the objects that the shop reads, and the permission that a restricted key needs for them.
var readPermissions = []struct{ objects, permission string }{
	{"payment_intents", "write access to PaymentIntents"},
	{"refunds", "write access to charges and refunds"},
	{"events", "read access to events"},
	{"disputes", "read access to disputes"},
	{"balance_transactions", "read access to balance transactions"},
}

// checkPermissions finds which objects a restricted key may not read. Whether it may write cannot be asked without writing.
func (c AccountCheck) checkPermissions(ctx context.Context, r *CheckReport) error {
	if !strings.HasPrefix(c.SecretKey, "rk_") {
		return nil
	}
	refused := false
	for _, needed := range readPermissions {
		refusal, err := c.get(ctx, needed.objects+"?limit=1", &struct{}{})
		if err != nil {
			return err
		}
		if refusal != "" {
			refused = true
			r.require("permission for "+needed.objects, false, refusal, remedy(refusal, needed.permission))
		}
	}
	if !refused {
		r.advise("restricted key", false, "may read all that the shop reads",
			"it also needs write access to PaymentIntents and to charges and refunds, which cannot be checked without writing")
	}
	return nil
}

// remedy says what to do about an answer that Stripe refused.
func remedy(refusal, permission string) string {
	if strings.HasPrefix(refusal, keyRefused) {
		return "Stripe does not know the secret key: set STRIPE_SECRET_KEY to one from Stripe's dashboard"
	}
	return "give the restricted key " + permission + " (Stripe's dashboard, Developers, API keys)"
}

// endpoint is the part of a webhook endpoint that is compared (docs.stripe.com/api/webhook_endpoints/object).
type endpoint struct {
	ID            string   `json:"id"`
	URL           string   `json:"url"`
	APIVersion    string   `json:"api_version"` // "": that of the account
	EnabledEvents []string `json:"enabled_events"`
	Status        string   `json:"status"`
	Livemode      bool     `json:"livemode"`
}

// checkEndpoints checks the webhook endpoints with the address of the shop.
func (c AccountCheck) checkEndpoints(ctx context.Context, r *CheckReport) error {
	var list struct {
		Data []endpoint `json:"data"`
	}
	refusal, err := c.get(ctx, "webhook_endpoints?limit=100", &list)
	if err != nil {
		return err
	}
	if refusal != "" {
		r.require("webhook endpoint", false, refusal, remedy(refusal, "read access to webhook endpoints"))
		return nil
	}
	ours := slices.DeleteFunc(list.Data, func(e endpoint) bool { return strings.TrimRight(e.URL, "/") != r.Wanted.URL })
	r.require("webhook endpoint", len(ours) > 0, fmt.Sprintf("%d with address %s", len(ours), r.Wanted.URL),
		"create one with this address, API version "+StripeAPIVersion+" and the events of deploy/PAYMENTS.md, and set STRIPE_WEBHOOK_SECRET to its secret")
	r.advise("signatures", len(ours) < 2, "cannot be checked: Stripe shows the secret of an endpoint only once",
		"there are several endpoints, each with its own secret; delete all but the one whose secret is in STRIPE_WEBHOOK_SECRET")
	for _, e := range ours {
		r.checkEndpoint(e)
	}
	return nil
}

func (r *CheckReport) checkEndpoint(e endpoint) {
	r.require(e.ID+" status", e.Status == "enabled", e.Status, "enable the endpoint in Stripe's dashboard: Stripe disables one whose answers were errors for days")
	mode := modeTest
	if e.Livemode {
		mode = modeLive
	}
	r.require(e.ID+" mode", mode == r.Mode, mode, "create an endpoint in "+r.Mode+" mode, that of the keys")
	version := e.APIVersion
	if version == "" {
		version = "the default of the account"
	}
	r.require(e.ID+" API version", AcceptsAPIVersion(e.APIVersion), version,
		"the version of an endpoint cannot be changed: create another one with version "+StripeAPIVersion+", set STRIPE_WEBHOOK_SECRET to its secret, and delete this one")
	missing := slices.DeleteFunc(WebhookEventTypes(), func(kind string) bool {
		return slices.Contains(e.EnabledEvents, kind) || slices.Contains(e.EnabledEvents, "*")
	})
	found := fmt.Sprintf("%d of %d that the shop needs", len(r.Wanted.Events)-len(missing), len(r.Wanted.Events))
	r.require(e.ID+" events", len(missing) == 0, found, "subscribe the endpoint to "+strings.Join(missing, ", "))
	r.advise(e.ID+" other events", !slices.Contains(e.EnabledEvents, "*"), fmt.Sprintf("%d types in all", len(e.EnabledEvents)),
		"the endpoint gets every event of the account; subscribe it only to those that the shop needs, because it stores an outline of each")
}
