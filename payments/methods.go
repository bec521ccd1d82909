package payments

import (
	"fmt"
	"slices"

	"tillstream/events"
)

// methodsFor returns the methods of the shop with which an amount can be paid, nil for cards alone, as payments of older releases have
// it. One that the currency or its own limit does not allow is left out.
func (t Terms) methodsFor(amount events.Money) []string {
	if slices.Equal(t.Methods, []string{events.MethodsAutomatic}) {
		return t.Methods
	}
	var allowed []string
	for _, name := range t.Methods {
		if m, known := events.FindMethod(name); known && m.Allows(amount) {
			allowed = append(allowed, name)
		}
	}
	if slices.Equal(allowed, []string{events.MethodCard}) {
		return nil
	}
	return allowed
}

func (t Terms) validateMethods() error {
	if err := events.CheckMethods(t.Methods); err != nil {
		return fmt.Errorf("payments: Config.Methods (PAYMENTS_METHODS): %w", err)
	}
	return nil
}

// methods returns the names of the methods with which the payment can be made.
func (p Payment) methods() []string {
	if len(p.Methods) == 0 {
		return []string{events.MethodCard}
	}
	return p.Methods
}

// chosenByStripe reports whether the payment can be made with what is activated in Stripe's dashboard.
func (p Payment) chosenByStripe() bool { return slices.Contains(p.Methods, events.MethodsAutomatic) }

// capturesAtOnce reports whether a method cannot be authorized first.
func capturesAtOnce(name string) bool {
	m, known := events.FindMethod(name)
	return !known || !m.Authorizes
}

// takesDays reports whether a bank may process the payment for days. The methods that Stripe chooses may.
func (p Payment) takesDays() bool {
	return slices.ContainsFunc(p.methods(), func(name string) bool { return events.ProcessingTime(name) > 0 })
}

// methodOf returns the method that an intent is paid with. If Stripe's answer does not tell, it is the slowest of those with which the
// payment can be made, because cards are almost never processed for longer than a moment; "" if Stripe has chosen them.
func (p Payment) methodOf(in Intent) string {
	if in.Method != "" || p.chosenByStripe() {
		return in.Method
	}
	slowest := events.MethodCard
	for _, name := range p.methods() {
		if events.ProcessingTime(name) > events.ProcessingTime(slowest) {
			slowest = name
		}
	}
	return slowest
}

// believesStep reports whether a step of the shopper's attempts to pay is recorded as a webhook reports it. Webhooks arrive in any
// order. With a method that takes days, the stock is held for days while the bank processes the payment, and no longer after it has
// failed. So what such a webhook says about the beginning and the end of the processing is asked of Stripe, whose answer is current.
func (p Payment) believesStep(in Intent) bool {
	if !p.takesDays() {
		return true
	}
	return in.Status != IntentProcessing && (p.Waiting != StatusProcessing || in.Status.ends())
}

// ends reports whether a status tells that an attempt to pay has succeeded, or that there will be no other.
func (s IntentStatus) ends() bool {
	return s == IntentRequiresCapture || s == IntentSucceeded || s == IntentCanceled
}
