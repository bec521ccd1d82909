package payments

import (
	"tillstream/events"
	"tillstream/events/log"
)

// Payments is the entity: everything known about the money of one order.
var Payments = log.Kind[Payment]{Stream: events.StreamPayments, Prefix: events.PrefixPayment, Evolve: Evolve}

// webhooks holds Stripe's events as they were received. Nothing is decided there.
var webhooks = log.Journal{Stream: events.StreamPayments, Subject: events.SubjectWebhooks}
