package loadgen

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tillstream/events"
)

// Buyer makes purchases. It may be used by many shoppers concurrently.
type Buyer struct {
	Shop         *Shop
	Follow       Follower                   // default FollowEvents
	Timeout      time.Duration              // for one whole purchase; default 60 s
	Acknowledged func(orderID string) error // called for every order answered 201, before it is paid; default: none
	Impatience   time.Duration              // after which a shopper leaves whose order cannot be paid yet; default: the timeout
}

// Purchase is the outcome of buying one basket.
type Purchase struct {
	Basket      Basket
	Order       Order         // zero if the order was not placed
	PlacedIn    time.Duration // from the first attempt to place the order to the answer; 0 if it was not placed
	ConfirmedIn time.Duration // from that answer until the order is confirmed; 0 if it was not confirmed
	Cancelled   bool          // by the shopper, as the habit demands
	Left        bool          // the shopper did not pay, as the habit demands
	Unpayable   bool          // the shopper left because the order could not be paid, see Impatience
	Refunded    events.Money  // of a shopper who returns goods
	Err         error         // a *Failure, or nil if the order was confirmed, cancelled or left as intended
}

// Buy makes one purchase.
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
	case errors.Is(p.Err, errLeft):
		p.Left, p.Err = true, nil
	case errors.Is(p.Err, errUnpayable):
		p.Unpayable, p.Err = true, nil
	}
	if p.Err == nil && basket.Habit == Returns && !p.Unpayable {
		p.Refunded, p.Err = b.returnHalf(ctx, order)
	}
	return p
}

// clicks is how often a shopper who double-clicks sends the order.
const clicks = 3

// place sends the order as often as the habit demands. All answers must name the same order.
func (b *Buyer) place(ctx context.Context, basket Basket) (Order, error) {
	if basket.Habit != DoubleClicks {
		order, err := b.Shop.place(ctx, basket)
		if err != nil || basket.Habit != SendsTwice {
			return order, err
		}
		again, err := b.Shop.place(ctx, basket)
		return order, errors.Join(err, sameOrder(order, again))
	}
	var orders [clicks]Order
	var errs [clicks]error
	var requests sync.WaitGroup
	for i := range clicks {
		requests.Go(func() { orders[i], errs[i] = b.Shop.place(ctx, basket) })
	}
	requests.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return Order{}, err
	}
	for _, other := range orders[1:] {
		if err := sameOrder(orders[0], other); err != nil {
			return Order{}, err
		}
	}
	return orders[0], nil
}

func sameOrder(order, again Order) error {
	if order.ID == again.ID {
		return nil
	}
	return &Failure{Kind: TwoOrders, Err: fmt.Errorf("one Idempotency-Key gave the orders %s and %s", order.ID, again.ID)}
}

// settle pays an order and waits for its final state. It follows the order before it pays, so that an order that ends
// without payment (out of stock) is noticed at once and not when the wait for its payment times out.
func (b *Buyer) settle(ctx context.Context, habit Habit, o Order) error {
	following, stopFollowing := context.WithCancel(ctx)
	defer stopFollowing()
	paying, stopPaying := context.WithCancel(ctx)
	defer stopPaying()
	ended := make(chan error, 1)
	go func() {
		end := b.follow(following, o)
		if ctx.Err() == nil { // otherwise the payment has timed out too, and pay must return that error
			stopPaying()
		}
		ended <- end
	}()
	err := b.pay(paying, habit, o)
	if err == nil || paying.Err() != nil {
		if end := <-ended; end == nil || err == nil || ctx.Err() == nil {
			return end
		}
		return err // paying timed out, which is more specific than "not confirmed"
	}
	stopFollowing()
	<-ended //nolint:errcheck // following was stopped; the error of the payment is the cause
	return err
}

func (b *Buyer) pay(ctx context.Context, habit Habit, o Order) error {
	if habit == CancelsAtOnce {
		return failed(stepCancel, b.Shop.cancel(ctx, o))
	}
	p, err := b.awaitPayment(ctx, o)
	if err != nil {
		return failed(stepPayment, err)
	}
	if p.ClientSecret == "" {
		return nil // nothing is left to pay: the final state of the order gives the reason
	}
	switch habit {
	case CancelsAtCheckout:
		return failed(stepCancel, b.Shop.cancel(ctx, o))
	case LeavesAtCheckout:
		return errLeft
	case DeclinedFirst:
		if err := failed(stepPay, b.Shop.confirm(ctx, p, decliningCard)); !isKind(err, Declined) && err != nil {
			return err
		}
	case Authenticates, FailsAtBank, LeavesAtBank:
		if over, err := b.authenticate(ctx, habit, p); over || err != nil {
			return failed(stepPay, err)
		}
	}
	return failed(stepPay, b.Shop.confirm(ctx, p, testCard))
}

// awaitPayment waits until an order can be paid. It returns [errUnpayable] when the shopper has lost patience.
func (b *Buyer) awaitPayment(ctx context.Context, o Order) (payment, error) {
	if b.Impatience == 0 {
		return b.Shop.payment(ctx, o)
	}
	waiting, stop := context.WithTimeoutCause(ctx, b.Impatience, errUnpayable)
	defer stop()
	p, err := b.Shop.payment(waiting, o)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(waiting), errUnpayable) {
		return p, errUnpayable
	}
	return p, err
}

func (b *Buyer) follow(ctx context.Context, o Order) error {
	follow := b.Follow
	if follow == nil {
		follow = FollowEvents
	}
	last := "placed"
	err := follow(ctx, b.Shop, o, func(status string) { last = status })
	var failure *Failure
	if errors.As(err, &failure) {
		return &Failure{Kind: failure.Kind, Err: fmt.Errorf("order %s: %w", o.ID, failure.Err)}
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Failure{Kind: NotConfirmed, Err: fmt.Errorf("order %s is still %s: %w", o.ID, last, err)}
	}
	if err != nil {
		err = fmt.Errorf("order %s: %w", o.ID, err)
	}
	return failed(stepFollow, err)
}
