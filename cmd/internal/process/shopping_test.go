//go:build unix

package process_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/target"
)

// stock is the initial stock of each item, enough for every test.
const stock = 1000

var items = []string{"LAMP", "MUG", "RUG"}

// staff sends a request about items or stock with an API key to the second inventory worker, which no test ends.
func (f *shopFleet) staff(t *testing.T, method, path string, body, into any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, f.at[1]["inventory"]+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+f.settings.OpsKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s %v", method, path, response.Status, answer, err)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		t.Fatal(err)
	}
}

// listItems adds the items to the catalogue through the staff API.
func (f *shopFleet) listItems(t *testing.T) {
	t.Helper()
	for i, sku := range items {
		var put struct{ Changed bool }
		f.staff(t, http.MethodPut, "/ops/api/items/"+sku, map[string]any{"title": "A " + sku, "on_hand": stock,
			"price": map[string]any{"amount": 1000 + i, "currency": "GBP"}}, &put)
		if !put.Changed {
			t.Errorf("item %s: got unchanged, want a new item", sku)
		}
	}
}

// crowd is a group of shoppers who buy one lamp and two mugs each.
type crowd struct {
	storefront   string             // address of the storefront that they use
	acknowledged func(order string) // called for every order that was answered with 201, before it is paid; default: none
	names        []string
}

// buy has all shoppers of a crowd buy concurrently, and fails the test for each failed purchase.
func (f *shopFleet) buy(t *testing.T, c crowd) {
	t.Helper()
	at := loadgen.Addresses{Storefront: c.storefront, Stripe: f.outside.Stripe, PublishableKey: f.settings.Keys.Publishable}
	buyer := loadgen.Buyer{Shop: loadgen.NewShop(at, len(c.names), true), Timeout: 90 * time.Second}
	buyer.Acknowledged = func(order string) error {
		if c.acknowledged != nil {
			c.acknowledged(order)
		}
		return nil
	}
	var shoppers sync.WaitGroup
	for _, name := range c.names {
		shoppers.Go(func() {
			p := buyer.Buy(t.Context(), loadgen.Basket{Key: "the-basket-of-" + name, Email: emailOf(name), Name: name, Locale: "en", Country: "GB",
				Lines: []loadgen.Line{{SKU: "LAMP", Quantity: 1}, {SKU: "MUG", Quantity: 2}}})
			if p.Err != nil {
				t.Errorf("purchase of %s: %v", name, p.Err)
			}
		})
	}
	shoppers.Wait()
}

func emailOf(name string) string { return name + "@example.com" }

// shopperNames returns the names of n shoppers.
func shopperNames(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", prefix, i+1)
	}
	return names
}

// checkMails waits until each shopper has an e-mail, and fails if a shopper has two different ones. If a sender is killed before
// it gets the answer, the mail server has an e-mail twice, with the same Message-ID.
func (f *shopFleet) checkMails(t *testing.T, names []string) {
	t.Helper()
	for _, name := range names {
		proc.WaitFor(t, name+" gets a mail", time.Minute, func() bool { return len(f.outside.Inbox.Messages(emailOf(name))) > 0 })
		ids := map[string]bool{}
		for _, m := range f.outside.Inbox.Messages(emailOf(name)) {
			ids[m.MessageID] = true
		}
		if len(ids) != 1 {
			t.Errorf("%s got %d different e-mails, want 1", name, len(ids))
		}
	}
}

// level is the stock of an item.
type level struct {
	OnHand    int64 `json:"on_hand"`
	Available int64 `json:"available"`
	Held      int64 `json:"held"`
}

// checkStock checks the stock after a number of shoppers have bought. The stock of an order is committed a moment after the
// order is confirmed.
func (f *shopFleet) checkStock(t *testing.T, shoppers int) {
	t.Helper()
	for sku, sold := range map[string]int64{"LAMP": int64(shoppers), "MUG": 2 * int64(shoppers), "RUG": 0} {
		want := level{OnHand: stock - sold, Available: stock - sold}
		var got level
		proc.WaitFor(t, fmt.Sprintf("nothing of %s is held", sku), time.Minute, func() bool {
			f.staff(t, http.MethodGet, "/ops/api/stock/"+sku, nil, &got)
			return got.Held == 0
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stock of %s (-want +got):\n%s", sku, diff)
		}
	}
}

// verify checks the invariants until they hold, for at most a minute, which is how long an order may take to become final. It
// makes no exception for recent orders, and fails unless the log has exactly this number of orders, all confirmed.
func (f *shopFleet) verify(t *testing.T, confirmed int) {
	t.Helper()
	options, done, err := invariants.Attach(t.Context(), target.Shop{NATS: f.broker, MongoDB: f.mongo, Mail: f.outside.Mail, Stripe: f.outside.Stripe, StripeSecretKey: f.settings.Keys.Secret})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	report, err := invariants.CheckRecovered(t.Context(), options, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range report.Findings {
		t.Errorf("invariant %s: got finding %s: %s", finding.Invariant, finding.Subject, finding.Detail)
	}
	for _, check := range report.Checks {
		if check.Skipped != "" {
			t.Errorf("invariant %s was not checked: %s", check.Invariant, check.Skipped)
		}
	}
	if diff := cmp.Diff(map[string]int{"confirmed": confirmed}, report.Counts.ByStatus); diff != "" {
		t.Errorf("orders by status (-want +got):\n%s", diff)
	}
	if len(report.OpenItems) > 0 {
		t.Errorf("open items = %v, want none", report.OpenItems)
	}
}
