package sandbox

import "time"

// authorizationPeriod is how long an authorization can be captured.
const authorizationPeriod = 7 * 24 * time.Hour

// charge is one attempt to move money for an intent, as Stripe shows it.
type charge struct {
	ID                        string            `json:"id"`
	Object                    string            `json:"object"`
	Amount                    int64             `json:"amount"`
	AmountCaptured            int64             `json:"amount_captured"`
	AmountRefunded            int64             `json:"amount_refunded"`
	Application               absent            `json:"application"`
	ApplicationFee            absent            `json:"application_fee"`
	ApplicationFeeAmount      absent            `json:"application_fee_amount"`
	BalanceTransaction        text              `json:"balance_transaction"`
	BillingDetails            billing           `json:"billing_details"`
	Captured                  bool              `json:"captured"`
	Created                   int64             `json:"created"`
	Currency                  string            `json:"currency"`
	Customer                  text              `json:"customer"`
	Description               text              `json:"description"`
	Destination               absent            `json:"destination"`
	Dispute                   text              `json:"dispute"`
	Disputed                  bool              `json:"disputed"`
	FailureBalanceTransaction absent            `json:"failure_balance_transaction"`
	FailureCode               text              `json:"failure_code"`
	FailureMessage            text              `json:"failure_message"`
	FraudDetails              empty             `json:"fraud_details"`
	Invoice                   absent            `json:"invoice"`
	Livemode                  bool              `json:"livemode"`
	Metadata                  map[string]string `json:"metadata"`
	Outcome                   outcome           `json:"outcome"`
	Paid                      bool              `json:"paid"`
	PaymentIntent             string            `json:"payment_intent"`
	PaymentMethod             string            `json:"payment_method"`
	PaymentMethodDetails      methodDetails     `json:"payment_method_details"`
	ReceiptEmail              text              `json:"receipt_email"`
	Refunded                  bool              `json:"refunded"`
	Shipping                  *shipping         `json:"shipping"`
	Status                    string            `json:"status"`
	TransferGroup             text              `json:"transfer_group"`
}

type outcome struct {
	NetworkStatus string `json:"network_status"`
	Reason        text   `json:"reason"`
	RiskLevel     string `json:"risk_level"`
	RiskScore     int64  `json:"risk_score"`
	SellerMessage string `json:"seller_message"`
	Type          string `json:"type"`
}

type methodDetails struct {
	Card      *chargedCard  `json:"card,omitempty"`
	SEPADebit *chargedDebit `json:"sepa_debit,omitempty"`
	Type      string        `json:"type"`
}

type chargedCard struct {
	AmountAuthorized number `json:"amount_authorized"`
	cardDetails
	CaptureBefore number        `json:"capture_before,omitempty"`
	Multicapture  feature       `json:"multicapture"`
	Network       string        `json:"network"`
	ThreeDSecure  *threeDSecure `json:"three_d_secure"`
}

// feature is whether the authorization has a feature.
type feature struct {
	Status string `json:"status"`
}

type threeDSecure struct {
	AuthenticationFlow string `json:"authentication_flow"`
	Result             string `json:"result"`
	ResultReason       text   `json:"result_reason"`
	Version            string `json:"version"`
}

// newCharge returns the charge of a new attempt. The caller then calls approve or decline, or sets the status pending.
func newCharge(in *intent, now time.Time) *charge {
	ch := &charge{
		ID: newID("ch"), Object: "charge", Amount: in.Amount, Created: now.Unix(), Currency: in.Currency,
		Customer: in.Customer, Description: in.Description, Metadata: in.Metadata, PaymentIntent: in.ID,
		PaymentMethod: string(in.PaymentMethod), ReceiptEmail: in.ReceiptEmail, Shipping: in.Shipping,
		TransferGroup: in.TransferGroup,
	}
	if d := in.private.Debit; d != nil {
		ch.ID = newID("py")
		ch.PaymentMethodDetails = methodDetails{Type: methodDebit, SEPADebit: &chargedDebit{debitDetails: *d.details(), Mandate: text(newID("mandate"))}}
		return ch
	}
	card := in.private.Card
	ch.PaymentMethodDetails = methodDetails{
		Type: methodCard,
		Card: &chargedCard{cardDetails: card.details(), Network: card.Brand, Multicapture: feature{unavailable}},
	}
	return ch
}

// approve ends an attempt that the bank approved. With manual capture the money can be captured for a week.
func (ch *charge) approve(manual bool, now time.Time) {
	ch.Status, ch.Paid = succeeded, true
	ch.Outcome = outcome{
		NetworkStatus: "approved_by_network", RiskLevel: "normal", RiskScore: 20,
		SellerMessage: "Payment complete.", Type: "authorized",
	}
	ch.PaymentMethodDetails.Card.AmountAuthorized = number(ch.Amount)
	if manual {
		ch.PaymentMethodDetails.Card.CaptureBefore = number(now.Add(authorizationPeriod).Unix())
	}
}

// multicapture reports whether the authorization can be captured several times.
func (ch *charge) multicapture() bool {
	card := ch.PaymentMethodDetails.Card
	return card != nil && card.Multicapture.Status == available
}

// decline ends an attempt that the bank declined.
func (ch *charge) decline(d decline) {
	ch.Status, ch.FailureCode, ch.FailureMessage = "failed", text(d.code), text(d.message)
	reason := d.declineCode
	if reason == "" {
		reason = d.code
	}
	ch.Outcome = outcome{
		NetworkStatus: "declined_by_network", Reason: text(reason), RiskLevel: "normal", RiskScore: 20,
		SellerMessage: "The bank did not return any further details with this decline.", Type: "issuer_declined",
	}
}

// authenticated records that the shopper was authenticated as the card's holder.
func (ch *charge) authenticated() {
	ch.PaymentMethodDetails.Card.ThreeDSecure = &threeDSecure{
		AuthenticationFlow: "challenge", Result: "authenticated", Version: "2.2.0",
	}
}

// capture records that another amount was captured.
func (ch *charge) capture(amount int64) {
	ch.Captured, ch.AmountCaptured = true, ch.AmountCaptured+amount
}

// release ends an authorization, which Stripe shows as a refund of money that was never captured.
func (ch *charge) release() {
	ch.AmountRefunded, ch.Refunded = ch.Amount, true
}

// refundable returns the amount that can be refunded.
func (ch *charge) refundable() int64 {
	if !ch.Captured {
		return 0
	}
	return ch.AmountCaptured - ch.AmountRefunded
}

// refund records that amount was refunded.
func (ch *charge) refund(amount int64) {
	ch.AmountRefunded += amount
	ch.Refunded = ch.refundable() == 0
}

// getCharge answers GET /v1/charges/{id}.
func getCharge(t *tx, c *call) (any, *apiError) {
	ch := t.charge(c.target)
	if ch == nil {
		return nil, notFound("charge", "id", c.target)
	}
	return ch, nil
}
