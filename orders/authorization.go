package orders

import "tillstream/events"

// The functions of this file decide about orders whose money is captured when goods are sent ([events.CaptureAtFulfilment]).

func (o Order) confirmedAuthorized() events.OrderConfirmed {
	return events.OrderConfirmed{OrderOutcome: o.outcome(), Authorized: true}
}

func (o Order) paymentCaptured(amount events.Money, more bool) events.OrderPaymentCaptured {
	return events.OrderPaymentCaptured{OrderOutcome: o.outcome(), Amount: amount, More: more}
}

// voidable reports whether the order is confirmed with an authorization of which nothing was captured, and nothing was sent.
func (o Order) voidable() bool {
	return o.Status == Confirmed && o.Capture == events.CaptureAtFulfilment && !o.Captured && len(o.Fulfilments) == 0
}

// void cancels a confirmed order. All its goods return to stock, where its confirmation had sold them.
func (o Order) void(reason string) events.OrderCancelled {
	return events.OrderCancelled{OrderOutcome: o.outcome(), Reason: reason, Restock: sorted(o.Unsent())}
}

// capturedMore returns the events that follow when an amount of a confirmed order is captured, in all captures together. If no more
// can be captured although more is due, the authorization has ended.
func (o Order) capturedMore(amount events.Money, more bool) []events.Payload {
	if o.Lost != nil || amount.Amount < o.Taken.Amount || amount == o.Taken && (more || !o.TakesMore) {
		return nil
	}
	facts := []events.Payload{o.paymentCaptured(amount, more)}
	if more || amount.Amount >= o.Total.Amount-o.Released.Amount {
		return facts
	}
	return append(facts, o.authorizationLost(amount)...)
}

// authorizationLost returns the event that nothing more than an amount is captured, although more is due. The goods that are not sent
// stay in the shop, unless the shopper has paid for more than was sent: then staff decide.
func (o Order) authorizationLost(captured events.Money) []events.Payload {
	due := o.due()
	if o.Lost != nil || captured.Amount > due.Amount || len(o.Fulfilments) == 0 {
		return nil
	}
	unsent := sorted(o.Unsent())
	return []events.Payload{events.OrderAuthorizationLost{OrderOutcome: o.outcome(), Lines: unsent,
		Released: events.Money{Amount: o.Total.Amount - due.Amount, Currency: o.Total.Currency},
		Unpaid:   events.Money{Amount: due.Amount - captured.Amount, Currency: o.Total.Currency}}}
}

// due returns the price of everything that was sent so far, with delivery and tax.
func (o Order) due() events.Money {
	sum := events.Money{Currency: o.Total.Currency}
	for _, f := range o.Fulfilments {
		sum.Amount += f.Amount.Amount // together at most the total of the order
	}
	return sum
}

// priceOf returns the price of goods that are sent next. The units of a line may differ in price by a minor unit, so that all of them
// together cost what the line costs.
func (o Order) priceOf(lines []events.ReservedLine) events.Money {
	sent := map[string]int64{}
	for _, f := range o.Fulfilments {
		for _, l := range f.Lines {
			sent[l.SKU] += l.Quantity
		}
	}
	sum := events.Money{Currency: o.Total.Currency}
	for _, l := range lines {
		for _, ordered := range o.Lines {
			if ordered.SKU == l.SKU {
				sum.Amount += priceOfUnits(ordered, sent[l.SKU]+l.Quantity) - priceOfUnits(ordered, sent[l.SKU])
			}
		}
	}
	return sum
}

// priceOfUnits returns the price of the first n units of a line, in minor units.
func priceOfUnits(l events.OrderLine, n int64) int64 {
	each, rest := l.Total.Amount/l.Quantity, l.Total.Amount%l.Quantity
	return each*n + rest*n/l.Quantity // less than the total: no overflow
}

// cancelledGoods returns the goods that are not sent although the order was confirmed: staff left them out of the last parcel, or the
// authorization ended.
func (o Order) cancelledGoods() (goods []events.ReservedLine) {
	for _, f := range o.Fulfilments {
		goods = append(goods, f.Cancelled...)
	}
	if o.Lost != nil {
		goods = append(goods, o.Lost.Lines...)
	}
	return goods
}
