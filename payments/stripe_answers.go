package payments

import "github.com/stripe/stripe-go/v76"

// operation is a request to Stripe's API. Its text begins the text of its errors.
type operation string

// The operations of the gateway.
const (
	opCreateIntent   operation = "create intent"
	opRetrieveIntent operation = "retrieve intent"
	opSearchIntents  operation = "search intent"
	opListIntents    operation = "list intents"
	opCapture        operation = "capture intent"
	opCancel         operation = "cancel intent"
	opCreateRefund   operation = "refund"
	opListRefunds    operation = "list refunds"
	opListEvents     operation = "list events"
	// opRead is every other operation that only reads: disputes, balance transactions, payouts, the account, its webhook endpoints.
	opRead operation = "read"
)

// answers is the table of an operation: what each code of Stripe is about. A code that is in none of its lists has the meaning that
// it has for all operations (see codesOfAll), and a code that is not there either is unlisted.
type answers struct {
	payment  []stripe.ErrorCode // AboutPayment
	state    []stripe.ErrorCode // AboutState
	account  []stripe.ErrorCode // AboutAccount
	params   map[string]About   // by parameter, for answers without a code
	declined About              // codes of cards and banks, and all other errors of type card_error
	unlisted About              // codes of other operations, and those that this program does not know
}

// answersTo has the table of every operation. Codes are explained at docs.stripe.com/error-codes. Only creations have answers that end
// a payment or a refund. A refusal of a look-up is never one of the payment: some accounts may not search, such as those in India.
var answersTo = map[operation]answers{
	opCreateIntent: {
		payment:  []stripe.ErrorCode{stripe.ErrorCodeAmountTooLarge, stripe.ErrorCodeAmountTooSmall, stripe.ErrorCodeInvalidChargeAmount, "charge_exceeds_transaction_limit"},
		account:  []stripe.ErrorCode{stripe.ErrorCodeLivemodeMismatch},
		declined: AboutPayment, unlisted: AboutRequest,
	},
	opRetrieveIntent: {payment: []stripe.ErrorCode{stripe.ErrorCodeResourceMissing}, declined: AboutRequest, unlisted: AboutRequest},
	opSearchIntents:  {declined: AboutRequest, unlisted: AboutRequest},
	opListIntents:    {declined: AboutRequest, unlisted: AboutRequest},
	opCapture: {
		state: []stripe.ErrorCode{stripe.ErrorCodeAmountTooLarge, stripe.ErrorCodeAmountTooSmall, stripe.ErrorCodeCaptureChargeAuthorizationExpired,
			stripe.ErrorCodeCaptureUnauthorizedPayment, stripe.ErrorCodeChargeAlreadyCaptured, stripe.ErrorCodeChargeAlreadyRefunded, stripe.ErrorCodeChargeDisputed,
			stripe.ErrorCodeChargeExpiredForCapture, stripe.ErrorCodeIntentInvalidState, stripe.ErrorCodeInvalidChargeAmount, stripe.ErrorCodePaymentIntentUnexpectedState,
			stripe.ErrorCodeResourceMissing},
		declined: AboutState, unlisted: AboutState,
	},
	opCancel: {
		state: []stripe.ErrorCode{stripe.ErrorCodeChargeAlreadyCaptured, stripe.ErrorCodeChargeAlreadyRefunded, stripe.ErrorCodeChargeExpiredForCapture,
			stripe.ErrorCodeIntentInvalidState, stripe.ErrorCodePaymentIntentUnexpectedState, stripe.ErrorCodeResourceMissing},
		declined: AboutState, unlisted: AboutState,
	},
	opCreateRefund: {
		payment: []stripe.ErrorCode{stripe.ErrorCodeAmountTooLarge, stripe.ErrorCodeAmountTooSmall, stripe.ErrorCodeBalanceInsufficient,
			stripe.ErrorCodeChargeAlreadyRefunded, stripe.ErrorCodeChargeDisputed, stripe.ErrorCodeChargeNotRefundable, stripe.ErrorCodeInsufficientFunds,
			stripe.ErrorCodeInvalidChargeAmount, stripe.ErrorCodePaymentIntentUnexpectedState, stripe.ErrorCodeRefundDisputedPayment},
		params:   map[string]About{"amount": AboutPayment}, // more than is left of the charge
		declined: AboutPayment, unlisted: AboutRequest,
	},
	opListRefunds: {declined: AboutRequest, unlisted: AboutRequest},
	opListEvents:  {declined: AboutRequest, unlisted: AboutRequest},
	opRead:        {payment: []stripe.ErrorCode{stripe.ErrorCodeResourceMissing}, declined: AboutRequest, unlisted: AboutRequest},
}

// listed returns what a code is about, and whether the operation or all operations list it.
func (t answers) listed(code stripe.ErrorCode) (About, bool) {
	for _, own := range []struct {
		codes []stripe.ErrorCode
		about About
	}{{t.payment, AboutPayment}, {t.state, AboutState}, {t.account, AboutAccount}} {
		for _, c := range own.codes {
			if c == code {
				return own.about, true
			}
		}
	}
	switch class := classOf[code]; class {
	case "":
		return t.unlisted, false
	case classBank:
		return t.declined, true
	case classElsewhere:
		return t.unlisted, true
	default:
		return About(class), true
	}
}
