package loadgen

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Buyer buys one basket at a time, for any number of shoppers at once.
type Buyer struct {
	Shop         *Shop
	Follow       Follower                   // default FollowEvents
	Timeout      time.Duration              // for one whole purchase; default 60 s
	Acknowledged func(orderID string) error // hears of every order answered 201, before it is paid; default: nobody does
}

// Purchase is what became of a basket.
type Purchase struct {
	Basket      Basket
	Order       Order         // zero when it was not placed
	PlacedIn    time.Duration // from the first attempt to place it to the answer; 0 when there was none
	ConfirmedIn time.Duration // from that answer to the news that it is confirmed; 0 when it was not
	Cancelled   bool          // by the shopper, whose habit that is
	Err         error         // a *Failure, or nil: confirmed, or cancelled as wanted
}

// Buy goes through a whole purchase.
func (b *Buyer) Buy(ctx context.Context, basket Basket) Purchase {
	timeout := b.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	p := Purchase{Basket: basket}
	begun := time.Now()
	order, err := b.place(ctx, basket)
	if err != nil {
		p.Err = failed(stepPlace, err)
		return p
	}
	placed := time.Now()
	p.Order, p.PlacedIn = order, placed.Sub(begun)
	if b.Acknowledged != nil {
		if err := b.Acknowledged(order.ID); err != nil {
			p.Err = &Failure{Kind: NotRecorded, Err: err}
			return p
		}
	}
	p.Err = b.settle(ctx, basket.Habit, order)
	switch {
	case p.Err == nil:
		p.ConfirmedIn = time.Since(placed)
	case errors.Is(p.Err, errCancelled) && basket.Habit.cancels():
		p.Cancelled, p.Err = true, nil
	}
	return p
}

// simultaneous is how often somebody who double-clicks sends the order.
const simultaneous = 3

// place sends the order as often as the habit says. All answers must be the same order.
func (b *Buyer) place(ctx context.Context, basket Basket) (Order, error) {
	if basket.Habit != DoubleClicks {
		order, err := b.Shop.place(ctx, basket)
		if err != nil || basket.Habit != SendsTwice {
			return order, err
		}
		again, err := b.Shop.place(ctx, basket)
		return order, errors.Join(err, same(order, again))
	}
	var orders [simultaneous]Order
	var problems [simultaneous]error
	var clicks sync.WaitGroup
	for i := range simultaneous {
		clicks.Go(func() { orders[i], problems[i] = b.Shop.place(ctx, basket) })
	}
	clicks.Wait()
	if err := errors.Join(problems[:]...); err != nil {
		return Order{}, err
	}
	for _, other := range orders[1:] {
		if err := same(orders[0], other); err != nil {
			return Order{}, err
		}
	}
	return orders[0], nil
}

func same(order, again Order) error {
	if order.ID == again.ID {
		return nil
	}
	return &Failure{Kind: TwoOrders, Err: fmt.Errorf("one Idempotency-Key gave the orders %s and %s", order.ID, again.ID)}
}

// settle pays an order and waits for its end. Following begins before paying, so that an order that ends without
// being paid (sold out) is noticed at once and not when the wait for its payment is over.
func (b *Buyer) settle(ctx context.Context, habit Habit, o Order) error {
	following, stopFollowing := context.WithCancel(ctx)
	defer stopFollowing()
	paying, stopPaying := context.WithCancel(ctx)
	defer stopPaying()
	ended := make(chan error, 1)
	go func() {
		end := b.follow(following, o)
		if ctx.Err() == nil { // else time ran out for paying too, and that is what paying should say
			stopPaying()
		}
		ended <- end
	}()
	err := b.pay(paying, habit, o)
	if err == nil || paying.Err() != nil {
		if end := <-ended; end == nil || err == nil || ctx.Err() == nil {
			return end
		}
		return err // time ran out while paying, which says more than "not confirmed"
	}
	stopFollowing()
	<-ended //nolint:errcheck // it was told to stop; the payment's error says why
	return err
}

func (b *Buyer) pay(ctx context.Context, habit Habit, o Order) error {
	if habit == CancelsAtOnce {
		return failed(stepCancel, b.Shop.cancel(ctx, o))
	}
	p, err := b.Shop.payment(ctx, o)
	if err != nil {
		return failed(stepPayment, err)
	}
	if p.ClientSecret == "" {
		return nil // nothing to pay any more: the order's own end says why
	}
	switch habit {
	case CancelsAtTheTill:
		return failed(stepCancel, b.Shop.cancel(ctx, o))
	case DeclinedFirst:
		if err := failed(stepPay, b.Shop.confirm(ctx, p, decliningCard)); !isKind(err, Declined) && err != nil {
			return err
		}
	}
	return failed(stepPay, b.Shop.confirm(ctx, p, testCard))
}

func (b *Buyer) follow(ctx context.Context, o Order) error {
	follow := b.Follow
	if follow == nil {
		follow = FollowEvents
	}
	last := "placed"
	err := follow(ctx, b.Shop, o, func(status string) { last = status })
	var known *Failure
	if errors.As(err, &known) {
		return &Failure{Kind: known.Kind, Err: fmt.Errorf("order %s: %w", o.ID, known.Err)}
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Failure{Kind: NotConfirmed, Err: fmt.Errorf("order %s was still %s: %w", o.ID, last, err)}
	}
	if err != nil {
		err = fmt.Errorf("order %s: %w", o.ID, err)
	}
	return failed(stepFollow, err)
}
