package events

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
)

// Upcaster converts the JSON of one version to the next.
type Upcaster func(data []byte) ([]byte, error)

// Definition is an event type with its versions.
type Definition struct {
	Type    string
	Version int              // the newest, which is what Encode writes
	Since   int              // the first [Topology] that knows this version
	Upcast  map[int]Upcaster // from version n to n+1, for every n below Version
	Zero    Payload

	decode func([]byte) (Payload, error)
}

// define returns the definition of a payload type in its newest version, with an upcaster for each older one.
func define[P Payload](version int, upcast map[int]Upcaster) Definition {
	var zero P
	return Definition{Type: zero.EventType(), Version: version, Since: 1, Upcast: upcast, Zero: zero,
		decode: func(data []byte) (Payload, error) {
			var p P
			err := json.Unmarshal(data, &p)
			return p, err
		}}
}

// definitions are the event types of the shop, by type.
var definitions = index(
	define[OrderPlaced](1, nil),
	define[OrderAwaitingPayment](1, nil),
	define[OrderPaymentAccepted](1, nil),
	define[OrderConfirmed](1, nil),
	define[OrderRejected](1, nil),
	define[OrderExpired](1, nil),
	define[OrderCancelled](1, nil),
	define[OrderPaidLate](1, nil),
	define[OrderRefunded](1, nil),
	define[OrderDeadlineChanged](1, nil).since(3),
	define[OrderFulfilmentCreated](1, nil).since(3),
	define[OrderPaymentCaptured](1, nil).since(3),
	define[OrderAuthorizationLost](1, nil).since(3),
	define[OrderRefundRequested](1, nil).since(3),
	define[OrderRefundFailed](1, nil).since(3),
	define[OrderDisputed](1, nil).since(3),
	define[OrderDisputeClosed](1, nil).since(3),

	define[ItemChanged](1, nil),
	define[StockAdjusted](1, nil),
	define[StockHeld](1, nil),
	define[StockReleased](1, nil),
	define[StockCommitted](1, nil),
	define[ReservationHeld](1, nil),
	define[ReservationRefused](1, nil),
	define[ReservationReleased](1, nil),
	define[ReservationCommitted](1, nil),
	define[StockReturned](1, nil).since(3),
	define[ReservationReturned](1, nil).since(3),

	define[PaymentRequested](1, nil),
	define[PaymentIntentCreated](1, nil),
	define[PaymentActionRequired](1, nil),
	define[PaymentProcessing](1, nil),
	define[PaymentDeclined](1, nil),
	define[PaymentAuthorized](1, nil),
	define[PaymentCaptured](1, nil),
	define[PaymentCancelRequested](1, nil),
	define[PaymentCancelled](1, nil),
	define[PaymentFailed](1, nil),
	define[PaymentRefundRequested](1, nil),
	define[PaymentRefunded](1, nil),
	define[PaymentRefundFailed](1, nil),
	define[PaymentRefundPending](1, nil).since(3),
	define[PaymentDisputeUpdated](1, nil).since(3),
	define[PaymentBalanceRecorded](1, nil).since(3),
	define[WebhookReceived](1, nil),

	define[MessageQueued](1, nil),
	define[MessageSending](1, nil),
	define[MessageSent](1, nil),
	define[MessageFailed](1, nil),
	define[MessageUnknown](1, nil),

	define[LanePaused](1, nil),
	define[LaneResumed](1, nil),
	define[EventVoided](1, nil),
	define[RedeliveryRequested](1, nil),
	define[StaffAdded](1, nil).since(2),
	define[StaffLinkMade](1, nil).since(2),
	define[StaffJoined](1, nil).since(2),
	define[StaffPasswordChanged](1, nil).since(2),
	define[StaffTOTPSet](1, nil).since(2),
	define[StaffTOTPRemoved](1, nil).since(2),
	define[StaffRoleChanged](1, nil).since(2),
	define[StaffRemoved](1, nil).since(2),
	define[StaffSignedIn](1, nil).since(2),
	define[StaffSignedOut](1, nil).since(2),
	define[AdminsChanged](1, nil).since(2),
	define[KeyMade](1, nil).since(2),
	define[KeyRevoked](1, nil).since(2),
	define[ActionRecorded](1, nil).since(2),
	define[ReplayRequested](1, nil).since(2),
	define[ReplayApproved](1, nil).since(2),
	define[ReplayStopped](1, nil).since(2),
	define[ReplayResumed](1, nil).since(2),
	define[ReplayBatchRequested](1, nil).since(2),
	define[ReplayFinished](1, nil).since(2),
	define[DeadLettered](1, nil),
	define[DeadLetterRedriven](1, nil),
	define[DeadLetterDiscarded](1, nil),
	define[Replayed](1, nil).since(2),
)

func index(definitions ...Definition) map[string]Definition {
	byType := make(map[string]Definition, len(definitions))
	for _, d := range definitions {
		byType[d.Type] = d
	}
	return byType
}

// Definitions lists every event type that this program reads and writes, sorted by type.
func Definitions() []Definition {
	all := make([]Definition, 0, len(definitions))
	for _, t := range slices.Sorted(maps.Keys(definitions)) {
		all = append(all, definitions[t])
	}
	return all
}
