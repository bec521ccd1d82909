package sandbox

import (
	"cmp"
	"net/http"
	"time"
)

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
	Dispute                   absent            `json:"dispute"`
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
	Card chargedCard `json:"card"`
	Type string      `json:"type"`
}

type chargedCard struct {
	AmountAuthorized number `json:"amount_authorized"`
	cardDetails
	CaptureBefore number        `json:"capture_before,omitempty"`
	Network       string        `json:"network"`
	ThreeDSecure  *threeDSecure `json:"three_d_secure"`
}

type threeDSecure struct {
	AuthenticationFlow string `json:"authentication_flow"`
	Result             string `json:"result"`
	ResultReason       text   `json:"result_reason"`
	Version            string `json:"version"`
}

// newCharge returns the charge of a new attempt with the intent's card. The caller then calls approve or decline.
func newCharge(in *intent, now time.Time) *charge {
	return &charge{
		ID: newID("ch"), Object: "charge", Amount: in.Amount, Created: now.Unix(), Currency: in.Currency,
		Customer: in.Customer, Description: in.Description, Metadata: in.Metadata, PaymentIntent: in.ID,
		PaymentMethod: string(in.PaymentMethod), ReceiptEmail: in.ReceiptEmail, Shipping: in.Shipping,
		TransferGroup: in.TransferGroup,
		PaymentMethodDetails: methodDetails{
			Type: "card",
			Card: chargedCard{cardDetails: in.private.Card.details(), Network: in.private.Card.Brand},
		},
	}
}

// approve ends an attempt that the bank approved. The money is captured now, or later with manual capture.
func (ch *charge) approve(manual bool, now time.Time) {
	ch.Status, ch.Paid = succeeded, true
	ch.Outcome = outcome{
		NetworkStatus: "approved_by_network", RiskLevel: "normal", RiskScore: 20,
		SellerMessage: "Payment complete.", Type: "authorized",
	}
	ch.PaymentMethodDetails.Card.AmountAuthorized = number(ch.Amount)
	if manual {
		ch.PaymentMethodDetails.Card.CaptureBefore = number(now.Add(authorizationPeriod).Unix())
		return
	}
	ch.capture(ch.Amount)
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

// capture records that amount was captured.
func (ch *charge) capture(amount int64) {
	ch.Captured, ch.AmountCaptured = true, amount
	ch.BalanceTransaction = text(newID("txn"))
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

var (
	refundParams       = []string{"amount", "charge", "expand", "metadata", "payment_intent", "reason", "instructions_email"}
	refundUpdateParams = []string{"expand", "metadata"}
	refundListParams   = append([]string{"charge", "payment_intent", "created"}, pageParams...)
)

// refund is a refund of a charge, as Stripe shows it.
type refund struct {
	ID                     string            `json:"id"`
	Object                 string            `json:"object"`
	Amount                 int64             `json:"amount"`
	BalanceTransaction     text              `json:"balance_transaction"`
	Charge                 string            `json:"charge"`
	Created                int64             `json:"created"`
	Currency               string            `json:"currency"`
	DestinationDetails     refundDestination `json:"destination_details"`
	Metadata               map[string]string `json:"metadata"`
	PaymentIntent          string            `json:"payment_intent"`
	Reason                 text              `json:"reason"`
	ReceiptNumber          text              `json:"receipt_number"`
	SourceTransferReversal absent            `json:"source_transfer_reversal"`
	Status                 string            `json:"status"`
	TransferReversal       absent            `json:"transfer_reversal"`
}

type refundDestination struct {
	Card refundCard `json:"card"`
	Type string     `json:"type"`
}

type refundCard struct {
	ReferenceStatus string `json:"reference_status"`
	ReferenceType   string `json:"reference_type"`
	Type            string `json:"type"`
}

func newRefund(ch *charge, amount int64, now time.Time) *refund {
	return &refund{
		ID: newID("re"), Object: "refund", Amount: amount, BalanceTransaction: text(newID("txn")), Charge: ch.ID,
		Created: now.Unix(), Currency: ch.Currency, PaymentIntent: ch.PaymentIntent, Status: succeeded,
		DestinationDetails: refundDestination{
			Type: "card",
			Card: refundCard{ReferenceStatus: "pending", ReferenceType: "acquirer_reference_number", Type: "refund"},
		},
	}
}

// createRefund answers POST /v1/refunds.
func createRefund(t *tx, c *call) (any, *apiError) {
	ch, problem := t.refundedCharge(c.form)
	if problem != nil {
		return nil, problem
	}
	amount, problem := refundAmount(c.form, ch)
	if problem != nil {
		return nil, problem
	}
	re := newRefund(ch, amount, t.now)
	if re.Metadata, problem = c.form.metadata(nil); problem != nil {
		return nil, problem
	}
	if c.form.has("reason") {
		reason, problem := c.form.oneOf("reason", "duplicate", "fraudulent", "requested_by_customer")
		if problem != nil {
			return nil, problem
		}
		re.Reason = text(reason)
	}
	ch.refund(amount)
	t.putCharge(ch)
	t.putRefund(re)
	t.emit("charge.refunded", ch)
	return re, nil
}

// refundedCharge finds the charge to refund by its id or its intent's.
func (t *tx) refundedCharge(f form) (*charge, *apiError) {
	id, intentID := f["charge"], f["payment_intent"]
	if id == "" && intentID == "" {
		return nil, invalid("", "parameter_missing", "One of the following params should be provided for this request: payment_intent or charge.")
	}
	if intentID != "" {
		in := t.intent(intentID)
		if in == nil {
			return nil, notFound("payment_intent", "payment_intent", intentID)
		}
		if id != "" && id != string(in.LatestCharge) {
			return nil, invalid("charge", "", "The charge %s does not belong to the PaymentIntent %s.", id, intentID)
		}
		id = string(in.LatestCharge)
		if in.Status != succeeded {
			return nil, unexpectedState(in, "This PaymentIntent (%s) does not have a successful charge to refund.", intentID)
		}
	}
	ch := t.charge(id)
	if ch == nil {
		return nil, notFound("charge", "charge", id)
	}
	return ch, nil
}

func refundAmount(f form, ch *charge) (int64, *apiError) {
	amount, sent, problem := f.integer("amount")
	if problem != nil {
		return 0, problem
	}
	if sent && amount < 1 {
		return 0, invalid("amount", "parameter_invalid_integer", "This value must be greater than or equal to 1.")
	}
	left := ch.refundable()
	switch {
	case !ch.Captured:
		return 0, notRefundable(ch, "charge_not_refundable", "Charge %s was not captured; cancel its PaymentIntent instead.", ch.ID)
	case left == 0:
		return 0, notRefundable(ch, "charge_already_refunded", "Charge %s has already been refunded.", ch.ID)
	case !sent:
		return left, nil
	case amount > left:
		problem := notRefundable(ch, "amount_too_large", "Refund amount (%d %s) is greater than unrefunded amount on charge (%d %s)", amount, ch.Currency, left, ch.Currency)
		problem.Param = "amount"
		return 0, problem
	}
	return amount, nil
}

func notRefundable(ch *charge, code, format string, args ...any) *apiError {
	problem := invalid("", code, format, args...)
	problem.status, problem.unstored, problem.Charge = http.StatusBadRequest, false, ch.ID
	return problem
}

// getRefund answers GET /v1/refunds/{id}.
func getRefund(t *tx, c *call) (any, *apiError) {
	re := t.refund(c.target)
	if re == nil {
		return nil, notFound("refund", "id", c.target)
	}
	return re, nil
}

// updateRefund answers POST /v1/refunds/{id}, which changes metadata only.
func updateRefund(t *tx, c *call) (any, *apiError) {
	re := t.refund(c.target)
	if re == nil {
		return nil, notFound("refund", "id", c.target)
	}
	metadata, problem := c.form.metadata(re.Metadata)
	if problem != nil {
		return nil, problem
	}
	re.Metadata = metadata
	t.putRefund(re)
	t.emit("charge.refund.updated", re)
	return re, nil
}

// listRefunds answers GET /v1/refunds, newest first.
func listRefunds(t *tx, c *call) (any, *apiError) {
	created, problem := readTimeRange(c.form, "created")
	if problem != nil {
		return nil, problem
	}
	if c.form.has("payment_intent") && c.form.has("charge") {
		return nil, invalid("charge", "parameters_exclusive", "You may only specify one of these parameters: payment_intent, charge.")
	}
	refunds := t.server.refunds
	match := func(index int) bool { return created.includes(refunds.rows[index].created) }
	var indexes []int
	var more bool
	if owner := cmp.Or(c.form["payment_intent"], c.form["charge"]); owner != "" {
		indexes, more, problem = readPageAmong(c.form, t.server.refundsOf[owner], refunds.index, match)
	} else {
		indexes, more, problem = readPage(c.form, len(refunds.rows), refunds.index, match)
	}
	if problem != nil {
		return nil, problem
	}
	shown := make([]any, 0, len(indexes))
	for _, index := range indexes {
		re, err := refunds.get(index)
		shown = append(shown, orFail(t, re, err))
	}
	return newPage(c.path, shown, more), nil
}
