// Package orders accepts orders and leads each to its end. An order asks inventory to hold its stock and payments to collect its
// money; orders decides what follows from their answers. The domains exchange nothing but events.
//
// It promises that an order which was answered with 201 is never lost, that its payment is captured only while its stock is held,
// and that it always ends: confirmed, or in a state that gives the reason and the state of the payment.
//
//	placed ── stock held ──► awaiting_payment ── authorized ──► capturing ── captured ──► confirmed
//
// An order that does not take this path:
//
//	state      from                         because
//	rejected   placed                       stock is short
//	           placed, awaiting_payment     Stripe refuses to create the payment
//	           paid_late                    the stock was sold in the meantime; the payment is refunded
//	expired    placed, awaiting_payment     the deadline has passed; the stock is released
//	cancelled  placed, awaiting_payment     the shopper or staff asked for it
//	           awaiting_payment             the payment was declined too often
//	           awaiting_payment, capturing  the payment was cancelled at Stripe, or its authorization expired
//	           paid_late                    the same, or the payment was refunded before the stock was held again
//	paid_late  expired                      the payment arrived after the deadline: inventory is asked to hold the stock again,
//	                                        then the order continues with capturing, or confirmed if the amount is captured
//
//	cancelled  confirmed                    nothing was captured or sent, and staff asked for it, or the authorization expired: the
//	                                        goods return to stock
//
// A payment that is already captured leads from awaiting_payment straight to confirmed. So does one whose money is captured when goods
// are sent ([events.CaptureAtFulfilment]) and is only authorized. If its authorization ends after goods were sent,
// orders.authorization_lost cancels the goods that are not sent; the order stays confirmed. A refund changes none of these states.
//
// The order also has a payment status (unpaid, authorized, paid, partly_refunded, refunded, disputed) and a fulfilment status
// (unfulfilled, partly_fulfilled, fulfilled). So an order that was refunded in part is still confirmed, and can be sent.
//
// While a shopper's bank disputes the payment, and after a dispute was lost, nothing may be sent ([Order.Held]).
//
// An order leaves awaiting_payment by one append with an expected sequence, so exactly one of payment, expiry and
// cancellation wins. From capturing on it can neither be cancelled by the shopper nor expire; until then the amount is only
// authorized on the card.
//
// The deadline follows the payment method. While a bank processes the payment for days (payments.processing with a method such as
// sepa_debit), orders.deadline_changed holds the stock for as long as the bank may take ([events.ProcessingTime]). If it does not pay,
// or asks for something, the shopper has as long to pay in another way as with a new order. The periodic job, not the timer, ends orders
// whose days have passed.
//
// Shoppers may have a limited number of unpaid orders ([Limits]), counted in memory from the log. Staff have no limit.
//
// Staff list and search orders in memory: every process folds a list from the log (see package index).
//
// Handled: inventory.reservation_held, reservation_refused; payments.action_required, processing, declined, authorized, captured,
// cancelled, failed, refund_requested, refund_pending, refunded, refund_failed, dispute_updated.
// Watched: inventory.item_changed, for the prices; orders.* and payments.*, for the list. Appended: orders.*. An unpaid order expires when its timer fires, or when the
// periodic job finds it in the projection because the timer was missed.
package orders
