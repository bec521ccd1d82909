package payments

import (
	"slices"
	"strings"

	"github.com/stripe/stripe-go/v76"
)

// StripeAPIVersion is the version of Stripe's API that this program speaks (docs.stripe.com/api/versioning). Webhook endpoints must
// have it, because Stripe writes the events of an endpoint in the endpoint's version.
const StripeAPIVersion = stripe.APIVersion

// intentTypes are the types of events whose object is an intent. The intent's metadata names the payment.
var intentTypes = []string{
	string(stripe.EventTypePaymentIntentAmountCapturableUpdated),
	string(stripe.EventTypePaymentIntentSucceeded),
	string(stripe.EventTypePaymentIntentPaymentFailed),
	string(stripe.EventTypePaymentIntentCanceled),
	string(stripe.EventTypePaymentIntentRequiresAction),
	string(stripe.EventTypePaymentIntentProcessing),
}

// chargeTypes are the types of events whose object is a charge or a refund. It names the intent; a charge has the metadata of the
// intent, too, and a refund that the shop has made names the payment.
var chargeTypes = []string{
	string(stripe.EventTypeChargeExpired),
	string(stripe.EventTypeChargeRefunded),
	string(stripe.EventTypeChargeRefundUpdated),
	string(stripe.EventTypeRefundCreated),
	string(stripe.EventTypeRefundUpdated),
}

// disputeTypes are the types of events whose object is a dispute. It names the intent, but not the payment.
var disputeTypes = []string{
	string(stripe.EventTypeChargeDisputeCreated),
	string(stripe.EventTypeChargeDisputeUpdated),
	string(stripe.EventTypeChargeDisputeClosed),
	string(stripe.EventTypeChargeDisputeFundsWithdrawn),
	string(stripe.EventTypeChargeDisputeFundsReinstated),
}

// WebhookEventTypes returns the types of events to which a webhook endpoint of the shop must be subscribed
// (docs.stripe.com/api/events/types). The reconciler asks for the same types; Stripe lists the events of up to 20 in one request.
func WebhookEventTypes() []string { return slices.Concat(intentTypes, chargeTypes, disputeTypes) }

// AcceptsAPIVersion reports whether the program understands objects in a version of Stripe's API. The names of previews that follow the
// version, such as "2023-10-16; custom_checkout_beta=v1", only add fields.
func AcceptsAPIVersion(version string) bool {
	base, _, _ := strings.Cut(version, ";")
	return strings.TrimSpace(base) == StripeAPIVersion
}
