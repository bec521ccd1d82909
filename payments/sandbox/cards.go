package sandbox

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// card is the part of a card that is stored.
type card struct {
	Brand    string `json:"brand"`
	Last4    string `json:"last4"`
	ExpMonth int64  `json:"exp_month"`
	ExpYear  int64  `json:"exp_year"`
	Funding  string `json:"funding"`
	// Secure3D is set when the bank requires authentication of the shopper.
	Secure3D bool `json:"three_d_secure,omitempty"`
	// Decline is the key in declines of the bank's answer; empty: the bank approves.
	Decline string `json:"refusal,omitempty"`
	// Later is what happens after the payment: a key of openings, refundPends or refundFails.
	Later string `json:"later,omitempty"`
}

// decline is the reason why a bank declines, as Stripe shows it.
type decline struct{ code, declineCode, message string }

var declines = map[string]decline{
	"generic":             {"card_declined", "generic_decline", "Your card was declined."},
	"insufficient_funds":  {"card_declined", "insufficient_funds", "Your card has insufficient funds."},
	"lost_card":           {"card_declined", "lost_card", "Your card was declined."},
	"stolen_card":         {"card_declined", "stolen_card", "Your card was declined."},
	"velocity":            {"card_declined", "card_velocity_exceeded", "Your card was declined for making repeated attempts too frequently or exceeding its amount limit."},
	"fraudulent":          {"card_declined", "fraudulent", "Your card was declined."},
	"expired":             {"expired_card", "", "Your card has expired."},
	"cvc":                 {"incorrect_cvc", "", "Your card's security code is incorrect."},
	"processing":          {"processing_error", "", "An error occurred while processing your card. Try again in a little bit."},
	"live_card":           {"card_declined", "test_mode_live_card", "Your card was declined. Your request was in test mode, but used a non test card."},
	"authentication":      {"authentication_required", "authentication_required", "Your card was declined. This transaction requires authentication."},
	"debit":               {"payment_intent_payment_attempt_failed", "", "The payment failed."},
	"debit_funds":         {"payment_intent_payment_attempt_failed", "insufficient_funds", "The customer's account has insufficient funds to cover this payment."},
	"authentication_fail": {"payment_intent_authentication_failure", "", "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again."},
}

// testCard is one of Stripe's published test cards: its number, its names as a payment method, and how its bank decides.
type testCard struct {
	number  string
	names   []string
	brand   string
	funding string
	secure  bool
	decline string
	later   string // what happens after the payment: a key of openings, refundPends or refundFails
}

var testCards = []testCard{
	{"4242424242424242", []string{"pm_card_visa", "pm_card_us"}, "visa", "credit", false, "", ""},
	{"4000056655665556", []string{"pm_card_visa_debit"}, "visa", "debit", false, "", ""},
	{"4000008260000000", []string{"pm_card_gb"}, "visa", "credit", false, "", ""},
	{"5555555555554444", []string{"pm_card_mastercard"}, "mastercard", "credit", false, "", ""},
	{"2223003122003222", nil, "mastercard", "credit", false, "", ""},
	{"5200828282828210", []string{"pm_card_mastercard_debit"}, "mastercard", "debit", false, "", ""},
	{"5105105105105100", []string{"pm_card_mastercard_prepaid"}, "mastercard", "prepaid", false, "", ""},
	{"378282246310005", []string{"pm_card_amex"}, "amex", "credit", false, "", ""},
	{"371449635398431", nil, "amex", "credit", false, "", ""},
	{"6011111111111117", []string{"pm_card_discover"}, "discover", "credit", false, "", ""},
	{"3056930009020004", []string{"pm_card_diners"}, "diners", "credit", false, "", ""},
	{"3566002020360505", []string{"pm_card_jcb"}, "jcb", "credit", false, "", ""},
	{"6200000000000005", []string{"pm_card_unionpay"}, "unionpay", "credit", false, "", ""},
	{"4000000000000002", []string{"pm_card_chargeDeclined", "pm_card_visa_chargeDeclined"}, "visa", "credit", false, "generic", ""},
	{"4000000000009995", []string{"pm_card_chargeDeclinedInsufficientFunds", "pm_card_visa_chargeDeclinedInsufficientFunds"}, "visa", "credit", false, "insufficient_funds", ""},
	{"4000000000009987", []string{"pm_card_chargeDeclinedLostCard", "pm_card_visa_chargeDeclinedLostCard"}, "visa", "credit", false, "lost_card", ""},
	{"4000000000009979", []string{"pm_card_chargeDeclinedStolenCard", "pm_card_visa_chargeDeclinedStolenCard"}, "visa", "credit", false, "stolen_card", ""},
	{"4000000000006975", []string{"pm_card_chargeDeclinedVelocityLimitExceeded", "pm_card_visa_chargeDeclinedVelocityLimitExceeded"}, "visa", "credit", false, "velocity", ""},
	{"4100000000000019", []string{"pm_card_radarBlock"}, "visa", "credit", false, "fraudulent", ""},
	{"4000000000000069", []string{"pm_card_chargeDeclinedExpiredCard"}, "visa", "credit", false, "expired", ""},
	{"4000000000000127", []string{"pm_card_chargeDeclinedIncorrectCvc"}, "visa", "credit", false, "cvc", ""},
	{"4000000000000119", []string{"pm_card_chargeDeclinedProcessingError"}, "visa", "credit", false, "processing", ""},
	{"4000002500003155", []string{"pm_card_authenticationRequiredOnSetup"}, "visa", "credit", true, "", ""},
	{"4000002760003184", []string{"pm_card_authenticationRequired"}, "visa", "credit", true, "", ""},
	{"4000000000003220", []string{"pm_card_threeDSecure2Required"}, "visa", "credit", true, "", ""},
	{"4000000000003063", []string{"pm_card_threeDSecureRequired"}, "visa", "credit", true, "", ""},
	{"4000008400001629", []string{"pm_card_threeDSecureRequiredChargeDeclined"}, "visa", "credit", true, "generic", ""},
	{"4000008260003178", []string{"pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"}, "visa", "credit", true, "insufficient_funds", ""},
	{"4000000000000259", []string{"pm_card_createDispute"}, "visa", "credit", false, "", "dispute_fraudulent"},
	{"4000000000002685", []string{"pm_card_createDisputeProductNotReceived"}, "visa", "credit", false, "", "dispute_not_received"},
	{"4000000000001976", []string{"pm_card_createDisputeInquiry"}, "visa", "credit", false, "", "dispute_inquiry"},
	{"4000000000007726", []string{"pm_card_pendingRefund"}, "visa", "credit", false, "", refundPends},
	{"4000000000005126", []string{"pm_card_refundFail"}, "visa", "credit", false, "", refundFails},
}

var cardsByNumber, cardsByName = indexTestCards()

func indexTestCards() (byNumber, byName map[string]testCard) {
	byNumber, byName = map[string]testCard{}, map[string]testCard{}
	for _, c := range testCards {
		byNumber[c.number] = c
		for _, name := range c.names {
			byName[name] = c
		}
	}
	return byNumber, byName
}

func (c testCard) card(month, year int64) card {
	return card{
		Brand: c.brand, Last4: c.number[len(c.number)-4:], ExpMonth: month, ExpYear: year,
		Funding: c.funding, Secure3D: c.secure, Decline: c.decline, Later: c.later,
	}
}

// readCardData reads the details of a card. The number does not leave this function.
func readCardData(f form, now time.Time) (*card, *apiError) {
	const prefix = "payment_method_data[card]"
	number := strings.Map(dropSeparators, f[prefix+"[number]"])
	if number == "" {
		return nil, missing(prefix + "[number]")
	}
	if !luhn(number) {
		return nil, invalidCard("number", "incorrect_number", "Your card number is incorrect.")
	}
	month, year, problem := readExpiry(f, prefix, now)
	if problem != nil {
		return nil, problem
	}
	known, ok := cardsByNumber[number]
	if !ok {
		known = testCard{number: number, brand: brandOf(number), funding: "credit", decline: "live_card"}
	}
	if cvc, sent := f[prefix+"[cvc]"]; sent && !validCVC(cvc, known.brand) {
		return nil, invalidCard("cvc", "invalid_cvc", "Your card's security code is invalid.")
	}
	c := known.card(month, year)
	return &c, nil
}

func readExpiry(f form, prefix string, now time.Time) (month, year int64, problem *apiError) {
	month, ok, _ := f.integer(prefix + "[exp_month]")
	if !ok || month < 1 || month > 12 {
		return 0, 0, invalidCard("exp_month", "invalid_expiry_month", "Your card's expiration month is invalid.")
	}
	year, ok, _ = f.integer(prefix + "[exp_year]")
	if ok && year >= 0 && year < 100 {
		year += int64(now.Year() / 100 * 100)
	}
	if !ok || year < int64(now.Year()) || year > int64(now.Year()+50) {
		return 0, 0, invalidCard("exp_year", "invalid_expiry_year", "Your card's expiration year is invalid.")
	}
	if year == int64(now.Year()) && month < int64(now.Month()) {
		return 0, 0, invalidCard("exp_month", "invalid_expiry_month", "Your card's expiration month is invalid.")
	}
	return month, year, nil
}

// invalidCard refuses card details. No attempt was made, and the intent is unchanged.
func invalidCard(param, code, message string) *apiError {
	return &apiError{Type: typeCard, Code: code, Param: param, Message: message, status: http.StatusPaymentRequired, unstored: true}
}

func dropSeparators(r rune) rune {
	if r == ' ' || r == '-' {
		return -1
	}
	return r
}

// luhn reports whether the check digit of a card number is correct.
func luhn(number string) bool {
	if len(number) < 12 || len(number) > 19 {
		return false
	}
	sum := 0
	for i := range len(number) {
		digit, err := strconv.Atoi(number[len(number)-1-i : len(number)-i])
		if err != nil {
			return false
		}
		if i%2 == 1 {
			digit *= 2
		}
		sum += digit/10 + digit%10
	}
	return sum%10 == 0
}

func validCVC(cvc, brand string) bool {
	if _, err := strconv.ParseUint(cvc, 10, 16); err != nil {
		return false
	}
	return len(cvc) == 3 || len(cvc) == 4 && brand == "amex"
}

// brandOf guesses the brand of a number that is not a test card.
func brandOf(number string) string {
	switch number[0] {
	case '4':
		return "visa"
	case '5', '2':
		return "mastercard"
	case '3':
		return "amex"
	case '6':
		return "discover"
	}
	return "unknown"
}

// billing is the empty billing address of cards without one.
type billing struct {
	Address address `json:"address"`
	Email   text    `json:"email"`
	Name    text    `json:"name"`
	Phone   text    `json:"phone"`
}

// paymentMethod is a card or a bank account as Stripe shows it.
type paymentMethod struct {
	ID             string        `json:"id"`
	Object         string        `json:"object"`
	BillingDetails billing       `json:"billing_details"`
	Card           *cardDetails  `json:"card,omitempty"`
	Created        int64         `json:"created"`
	Customer       absent        `json:"customer"`
	Livemode       bool          `json:"livemode"`
	Metadata       empty         `json:"metadata"`
	SEPADebit      *debitDetails `json:"sepa_debit,omitempty"`
	Type           string        `json:"type"`
}

type cardDetails struct {
	Brand    string `json:"brand"`
	Checks   checks `json:"checks"`
	Country  string `json:"country"`
	ExpMonth int64  `json:"exp_month"`
	ExpYear  int64  `json:"exp_year"`
	Funding  string `json:"funding"`
	Last4    string `json:"last4"`
	Wallet   absent `json:"wallet"`
}

type checks struct {
	AddressLine1Check      text `json:"address_line1_check"`
	AddressPostalCodeCheck text `json:"address_postal_code_check"`
	CVCCheck               text `json:"cvc_check"`
}

// details returns the card's public part.
func (c card) details() cardDetails {
	cvc := text("pass")
	if c.Decline == "cvc" {
		cvc = "fail"
	}
	return cardDetails{
		Brand: c.Brand, Checks: checks{CVCCheck: cvc}, Country: "US",
		ExpMonth: c.ExpMonth, ExpYear: c.ExpYear, Funding: c.Funding, Last4: c.Last4,
	}
}

// method returns what the intent is paid with as the payment method with that id.
func (p intentPrivate) method(id string, created int64) *paymentMethod {
	m := &paymentMethod{ID: id, Object: "payment_method", Created: created, Type: methodCard}
	if p.Debit != nil {
		m.SEPADebit, m.Type = p.Debit.details(), methodDebit
		return m
	}
	card := p.Card.details()
	m.Card = &card
	return m
}
