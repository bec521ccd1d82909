package events

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Method is a way to pay, by the name of its type at Stripe.
type Method struct {
	Name string
	// BusinessDays is how long the bank takes at most to say whether the payment succeeded; 0: the shopper knows at once.
	BusinessDays int
	// Max is the largest amount in minor units; 0: no other limit than that of the currency.
	Max int64
	// Currencies are those that can be paid; none: all that Stripe charges.
	Currencies []string
	// Authorizes reports that an amount can be authorized first and captured later.
	Authorizes bool
}

// Names in the setting of methods that stand for no method of their own.
const (
	MethodCard = "card"
	// MethodsAutomatic stands for what is activated in Stripe's dashboard, instead of a list.
	MethodsAutomatic = "automatic"
)

// methods are the methods that work in this shop: each ends with success or failure by itself, at once, after a redirect to the bank
// or after some business days. Vouchers and bank transfers (oxxo, customer_balance), for which the shopper must still do something in
// the days after the order, are not among them. The pages of docs.stripe.com/payments, one for each method, have currencies, limits
// and times: sepa-debit (up to 14 business days, 10,000 EUR), payment-methods/bacs-debit (up to 7 with a new mandate, 100,000 GBP),
// au-becs-debit (up to 3, 10,000 AUD for a new account), and link, paypal, ideal, bancontact, eps, p24, blik, twint (at once).
// docs.stripe.com/payments/place-a-hold-on-a-payment-method has those that authorize.
var methods = []Method{
	{Name: MethodCard, Authorizes: true},
	{Name: "link", Authorizes: true},
	{Name: "au_becs_debit", BusinessDays: 3, Max: 1_000_000, Currencies: []string{"AUD"}},
	{Name: "bacs_debit", BusinessDays: 7, Max: 10_000_000, Currencies: []string{"GBP"}},
	{Name: "bancontact", Currencies: []string{"EUR"}},
	{Name: "blik", Currencies: []string{"PLN"}},
	{Name: "eps", Currencies: []string{"EUR"}},
	{Name: "ideal", Currencies: []string{"EUR"}},
	{Name: "p24", Currencies: []string{"EUR", "PLN"}},
	{Name: "paypal", Authorizes: true, Currencies: []string{"AUD", "CAD", "CHF", "CZK", "DKK", "EUR", "GBP", "HKD", "NOK", "NZD", "PLN", "SEK", "SGD", "USD"}},
	{Name: "sepa_debit", BusinessDays: 14, Max: 1_000_000, Currencies: []string{"EUR"}},
	{Name: "twint", Currencies: []string{"CHF"}},
}

// wallets come with cards, so they are not named in the setting.
var wallets = []string{"apple_pay", "google_pay"}

// FindMethod returns the method with a name at Stripe.
func FindMethod(name string) (Method, bool) {
	at := slices.IndexFunc(methods, func(m Method) bool { return m.Name == name })
	if at < 0 {
		return Method{}, false
	}
	return methods[at], true
}

// Allows reports whether an amount can be paid with the method.
func (m Method) Allows(amount Money) bool {
	return (len(m.Currencies) == 0 || slices.Contains(m.Currencies, amount.Currency)) && (m.Max == 0 || amount.Amount <= m.Max)
}

// unknownMethodDays is the time of a method that is not in the list, which a shop can have with [MethodsAutomatic]: that of the
// slowest one that is.
const unknownMethodDays = 14

// ProcessingTime returns how long the bank takes at most to process a payment with a method, by the name of its type at Stripe, in
// days of the calendar: a week has five business days, and two more days may be holidays. It is 0 for a method that is known to end
// at once.
func ProcessingTime(method string) time.Duration {
	days := unknownMethodDays
	if m, ok := FindMethod(method); ok {
		days = m.BusinessDays
	}
	if days == 0 || slices.Contains(wallets, method) {
		return 0
	}
	return time.Duration((days*7+4)/5+2) * 24 * time.Hour
}

// LongestProcessing returns the longest [ProcessingTime].
func LongestProcessing() time.Duration { return ProcessingTime("") }

// CheckMethods returns an error for a list of methods that does not work, with those that do. Cards must be among them: an order
// whose currency allows no other method can still be paid.
func CheckMethods(names []string) error {
	if slices.Equal(names, []string{MethodsAutomatic}) {
		return nil
	}
	var known []string
	for _, m := range methods {
		known = append(known, m.Name)
	}
	for at, name := range names {
		_, ok := FindMethod(name)
		switch {
		case slices.Contains(wallets, name):
			return fmt.Errorf("%q comes with card: leave it out", name)
		case name == MethodsAutomatic:
			return fmt.Errorf("%q stands alone: it means what is activated in Stripe's dashboard", name)
		case !ok:
			return fmt.Errorf("%.40q is not a payment method of this shop: want %s alone, or some of %s", name, MethodsAutomatic, strings.Join(known, ", "))
		case slices.Contains(names[:at], name):
			return fmt.Errorf("%q is there twice", name)
		}
	}
	if !slices.Contains(names, MethodCard) {
		return fmt.Errorf("%q is missing: orders that no other method can pay need it", MethodCard)
	}
	return nil
}
