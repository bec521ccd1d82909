package sandbox

import (
	"math/big"
	"slices"
	"strings"
	"time"
)

const (
	methodCard  = "card"
	methodDebit = "sepa_debit"
)

// processing is the status of an intent whose bank has not answered yet.
const processing = "processing"

// debit is the part of a bank account that is stored.
type debit struct {
	Bank    string `json:"bank"`
	Country string `json:"country"`
	Last4   string `json:"last4"`
	// Minutes is how long the bank takes.
	Minutes int64 `json:"minutes,omitempty"`
	// Decline is the key in declines of the bank's answer; empty: the bank pays.
	Decline string `json:"refusal,omitempty"`
	// Later is what happens after the payment: a key of openings.
	Later string `json:"later,omitempty"`
}

// testIBAN is one of Stripe's published test accounts and how its bank decides
// (docs.stripe.com/payments/sepa-debit/accept-a-payment#test-integration).
type testIBAN struct {
	minutes int64
	decline string
	later   string
}

var testIBANs = map[string]testIBAN{
	"AT611904300234573201": {}, "DE89370400440532013000": {}, "FR1420041010050500013M02606": {}, "NL39RABO0300065264": {},
	"AT321904300235473204": {minutes: 3}, "DE08370400440532013003": {minutes: 3}, "FR3020041010050500013M02609": {minutes: 3},
	"AT861904300235473202": {decline: "debit"}, "DE62370400440532013001": {decline: "debit"}, "FR8420041010050500013M02607": {decline: "debit"},
	"AT051904300235473205": {minutes: 3, decline: "debit"}, "DE78370400440532013004": {minutes: 3, decline: "debit"},
	"FR7920041010050500013M02600": {minutes: 3, decline: "debit"}, "DE65370400440002222227": {decline: "debit_funds"},
	"AT591904300235473203": {later: "dispute_debit"}, "DE35370400440532013002": {later: "dispute_debit"},
	"FR5720041010050500013M02608": {later: "dispute_debit"},
}

// readDebit reads the account of a request. The whole IBAN does not leave this function.
func readDebit(f form) (*debit, *apiError) {
	const param = "payment_method_data[sepa_debit][iban]"
	iban := strings.ToUpper(strings.Map(dropSeparators, f[param]))
	if iban == "" {
		return nil, missing(param)
	}
	if !validIBAN(iban) {
		return nil, invalid(param, "invalid_bank_account_iban", "The IBAN you provided is invalid.")
	}
	known, ok := testIBANs[iban]
	if !ok {
		return nil, invalid(param, "invalid_bank_account_iban", "You must use a test bank account number in test mode. Try DE89370400440532013000 or see more options at https://stripe.com/docs/payments/sepa-debit/accept-a-payment.")
	}
	return &debit{
		Bank: iban[4:12], Country: iban[:2], Last4: iban[len(iban)-4:], Minutes: known.minutes, Decline: known.decline, Later: known.later,
	}, nil
}

// validIBAN reports whether the check digits of an IBAN are right: as a number with letters counted from A = 10, and the first four
// characters moved to the end, it is 1 modulo 97 (ISO 13616).
func validIBAN(iban string) bool {
	if len(iban) < 15 || len(iban) > 34 {
		return false
	}
	var digits strings.Builder
	for _, c := range iban[4:] + iban[:4] {
		switch {
		case '0' <= c && c <= '9':
			digits.WriteRune(c)
		case 'A' <= c && c <= 'Z':
			digits.WriteString(big.NewInt(int64(c - 'A' + 10)).String())
		default:
			return false
		}
	}
	n, ok := new(big.Int).SetString(digits.String(), 10)
	return ok && new(big.Int).Mod(n, big.NewInt(97)).Int64() == 1
}

// debitDetails is a bank account as Stripe shows it.
type debitDetails struct {
	BankCode    text   `json:"bank_code"`
	BranchCode  text   `json:"branch_code"`
	Country     string `json:"country"`
	Fingerprint absent `json:"fingerprint"`
	Last4       string `json:"last4"`
}

// chargedDebit is a bank account as Stripe shows it in a charge.
type chargedDebit struct {
	debitDetails
	Mandate text `json:"mandate"`
}

func (d debit) details() *debitDetails {
	return &debitDetails{BankCode: text(d.Bank), Country: d.Country, Last4: d.Last4}
}

// debit asks the shopper's bank for the money; until it answers the intent is processing.
func (t *tx) debit(in *intent) {
	ch := newCharge(in, t.now)
	ch.Status = pending
	ch.Outcome = outcome{NetworkStatus: "approved_by_network", RiskLevel: "not_assessed", SellerMessage: "Payment complete.", Type: "authorized"}
	in.LatestCharge, in.NextAction, in.LastPaymentError, in.Status = text(ch.ID), nil, nil, processing
	t.putCharge(ch)
	t.emit("charge.pending", ch)
	t.putIntent(in)
	t.emit("payment_intent.processing", in)
	t.schedule(taskDebit, in.ID, t.now.Add(time.Duration(in.private.Debit.Minutes)*time.Minute).Unix())
}

// concludeDebit is the answer of the shopper's bank.
func (t *tx) concludeDebit(index int) {
	in := t.intentAt(index)
	if in == nil || in.Status != processing {
		return
	}
	ch := t.charge(string(in.LatestCharge))
	if ch == nil {
		return
	}
	if name := in.private.Debit.Decline; name != "" {
		d := declines[name]
		ch.decline(d)
		_ = in.decline(d, ch.ID, t.now) // nobody waits for the answer; the intent stores the error
		t.putFailure(in, ch)
		return
	}
	ch.Status, ch.Paid = succeeded, true
	t.authorize(in, ch)
	t.emit("charge.succeeded", ch)
	t.putIntent(in)
	t.emit("payment_intent.succeeded", in)
	t.disputeByMethod(in, ch)
}

// means is what an intent is paid with: a card or a bank account.
type means struct {
	card  *card
	debit *debit
}

func (m means) kind() string {
	if m.debit != nil {
		return methodDebit
	}
	return methodCard
}

// readMeans returns what a request pays with, named in payment_method or with its details in payment_method_data. It returns nil
// for a request with neither.
func readMeans(f form, now time.Time) (*means, *apiError) {
	id, named := f["payment_method"]
	data := f.hasNested("payment_method_data")
	switch {
	case data && named:
		return nil, invalid("payment_method", "parameters_exclusive", "You may only specify one of these parameters: payment_method, payment_method_data.")
	case data:
		return readMeansData(f, now)
	case id == "":
		return nil, nil
	}
	known, ok := cardsByName[id]
	if !ok {
		return nil, notFound("PaymentMethod", "payment_method", id)
	}
	c := known.card(12, int64(now.Year()+1))
	return &means{card: &c}, nil
}

func readMeansData(f form, now time.Time) (*means, *apiError) {
	switch f["payment_method_data[type]"] {
	case methodCard:
		c, problem := readCardData(f, now)
		return &means{card: c}, problem
	case methodDebit:
		d, problem := readDebit(f)
		return &means{debit: d}, problem
	}
	return nil, invalid("payment_method_data[type]", "", "Invalid payment_method_data[type]: must be one of card, sepa_debit")
}

// accepts refuses what the intent's payment methods do not include.
func (in *intent) accepts(m *means) *apiError {
	if m == nil || slices.Contains(in.PaymentMethodTypes, m.kind()) {
		return nil
	}
	return invalid("payment_method", "payment_intent_incompatible_payment_method", "The PaymentMethod provided (%s) is not allowed for this PaymentIntent. This PaymentIntent is configured to accept: %s.", m.kind(), strings.Join(in.PaymentMethodTypes, ", "))
}
