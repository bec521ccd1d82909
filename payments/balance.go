package payments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tillstream/events"
	"tillstream/events/index"
	eventlog "tillstream/events/log"
)

// Bookkeeping is the part of Stripe's API about the money on the shop's account.
type Bookkeeping interface {
	// ListBalance calls fn for the balance transactions that a query selects, the newest first.
	ListBalance(ctx context.Context, q BalanceQuery, fn func(BalanceTransaction) error) error
	// ListPayouts returns a page of payouts, the newest first: those after a payout, "" for the first page.
	ListPayouts(ctx context.Context, limit int, after string) (payouts []Payout, more bool, err error)
	// RetrievePayout returns a payout as it is now.
	RetrievePayout(ctx context.Context, id string) (Payout, error)
}

// BalanceQuery selects balance transactions. Exactly one field is set.
type BalanceQuery struct {
	Since  time.Time // those created at this time or later
	Payout string    // those that were paid out with a payout, which has to be an automatic one
}

// BalanceTransaction is a change of the shop's balance at Stripe (docs.stripe.com/api/balance_transactions/object). The amounts are in
// the currency in which the account is settled; Net = Amount - Fee.
type BalanceTransaction struct {
	ID            string
	Kind          string // Stripe's type, such as "charge", "refund" or "adjustment"
	Source        string // id of the object that it is about
	SourceKind    string // Stripe's type of that object, such as "charge"
	PaymentIntent string // that the object names
	PaymentID     string // from the metadata of the object, which everyone with the account's keys can write
	Description   string
	Amount        events.Money // negative if it leaves the account
	Fee           events.Money
	Net           events.Money
	Created       time.Time
	AvailableOn   time.Time // when the net amount can be paid out

	// Unreadable is why the entry cannot be read; then only the ID is set.
	Unreadable error
}

// aboutPayment reports whether the transaction can be about a payment of the shop: others are payouts, fees of Stripe's products, or
// transfers of money.
func (t BalanceTransaction) aboutPayment() bool {
	return t.ID != "" && slices.Contains([]string{"charge", "refund", "dispute"}, t.SourceKind) && (t.PaymentID != "" || t.PaymentIntent != "")
}

// RecordBalance returns the fact that a balance transaction adds to a payment. Each is recorded once. One of another intent adds
// nothing.
func RecordBalance(p Payment, t BalanceTransaction) []events.Payload {
	if _, known := p.Balance[t.ID]; known || !p.Exists() || t.PaymentIntent != "" && p.PaymentIntent != "" && t.PaymentIntent != p.PaymentIntent {
		return nil
	}
	return []events.Payload{events.PaymentBalanceRecorded{OrderID: p.OrderID, PaymentID: p.ID, Transaction: t.ID, Kind: t.Kind, Source: t.Source,
		Amount: t.Amount, Fee: t.Fee, Net: t.Net, CreatedAt: t.Created, AvailableOn: t.AvailableOn}}
}

const (
	balanceName    = "payments.balance.reconcile" // of the checkpoint
	balanceOverlap = 5 * time.Minute              // for transactions that appear in the list late
	balanceBatch   = 100                          // transactions in one commit, a page of Stripe's list
	refusedEvery   = time.Hour                    // how often a walk that Stripe has refused is tried again: some servers with Stripe's API have no such list
)

// reconcileBalance records every balance transaction of a payment of the shop. Stripe sends no events about them. It walks their list
// from the newest to the end of the walk before, whose position is a checkpoint of the shop.
func (s *Service) reconcileBalance(ctx context.Context) error {
	if s.log.Now().Before(s.cursor.refused.Add(refusedEvery)) {
		return nil
	}
	err := s.walkBalance(ctx)
	if !refusedByStripe(err) {
		return err
	}
	s.logger.Warn("Stripe refuses to list balance transactions: no fees are recorded", "next_attempt_in", refusedEvery, "error", err)
	s.cursor.refused = s.log.Now()
	return nil
}

func (s *Service) walkBalance(ctx context.Context) error {
	since, err := s.balanceSince(ctx)
	if err != nil {
		return err
	}
	next, batch := since, make([]BalanceTransaction, 0, balanceBatch)
	err = s.gateway.ListBalance(ctx, BalanceQuery{Since: since}, func(t BalanceTransaction) error {
		if begin := t.Created.Add(-balanceOverlap); begin.After(next) {
			next = begin
		}
		if t.Unreadable != nil { // one entry must not stop the walk at each run
			s.logger.Error("balance transaction passed over", "transaction", t.ID, "error", t.Unreadable)
		} else if t.aboutPayment() {
			batch = append(batch, t)
		}
		if len(batch) < balanceBatch {
			return nil
		}
		err := s.recordBalance(ctx, batch)
		batch = batch[:0]
		return err
	})
	if err == nil {
		err = s.recordBalance(ctx, batch)
	}
	if err != nil {
		return fmt.Errorf("reconcile balance transactions of Stripe: %w", err)
	}
	s.cursor.balance = next
	return s.saveProgress(ctx, balanceName, next)
}

// balanceSince returns the time at which the next walk begins. The first walk of a process repeats the last hour, as [Service.nextSince]
// does for events.
func (s *Service) balanceSince(ctx context.Context) (time.Time, error) {
	if !s.cursor.balance.IsZero() {
		return s.cursor.balance, nil
	}
	return s.resume(ctx, balanceName)
}

// recordBalance records balance transactions in one commit. Most are known, or of payments that the shop did not make: their payments
// are read from the cache, and nothing is committed.
func (s *Service) recordBalance(ctx context.Context, batch []BalanceTransaction) error {
	owners, err := s.owners(ctx, batch)
	if err != nil {
		return err
	}
	missing := make([]BalanceTransaction, 0, len(batch))
	for _, t := range batch {
		adds, err := s.addsBalance(ctx, owners[t.ID], t)
		if err != nil {
			return err
		}
		if adds {
			missing = append(missing, t)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return s.log.DoCascade(ctx, func(tx *eventlog.Tx) error {
		tx.WithActor(events.ActorStripe)
		for _, t := range missing {
			err := decide(tx, owners[t.ID], func(p Payment) ([]events.Payload, error) {
				tx.WithCorrelation(p.OrderID)
				return RecordBalance(p, t), nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// addsBalance reports whether a balance transaction would add a fact to a payment. A payment that cannot be read is passed over: its
// other events are dead letters already.
func (s *Service) addsBalance(ctx context.Context, id string, t BalanceTransaction) (bool, error) {
	p, _, err := Payments.ReadAtLeast(ctx, s.log, id, 1)
	switch {
	case errors.Is(err, eventlog.ErrNotFound), errors.Is(err, events.ErrBadID):
		return false, nil
	case errors.Is(err, eventlog.ErrUnreadable):
		s.logger.Error("balance transaction passed over", "payment", id, "transaction", t.ID, "error", err)
		return false, nil
	case err != nil:
		return false, err
	}
	return len(RecordBalance(p, t)) > 0, nil
}

// owners returns the payments that balance transactions are about, by the id of the transaction. The metadata of a charge names the
// payment; a dispute, and a refund that was made in Stripe's dashboard, name only the intent, which is looked up in the list in memory.
func (s *Service) owners(ctx context.Context, batch []BalanceTransaction) (map[string]string, error) {
	owners, wanted := map[string]string{}, map[string]struct{}{}
	for _, t := range batch {
		if owners[t.ID] = t.PaymentID; t.PaymentID == "" && t.PaymentIntent != "" {
			wanted[t.PaymentIntent] = struct{}{}
		}
	}
	if len(wanted) == 0 {
		return owners, nil
	}
	known, err := s.byIntent(ctx, wanted)
	for _, t := range batch {
		if t.PaymentID == "" {
			owners[t.ID] = known[t.PaymentIntent].ID
		}
	}
	return owners, err
}

// byIntent returns the payments of the shop that have one of the wanted intents, by intent. It searches the list in memory once.
func (s *Service) byIntent(ctx context.Context, wanted map[string]struct{}) (map[string]Payment, error) {
	found, err := s.index.Find(ctx, index.Query[Payment]{Limit: len(wanted)}, func(p *Payment) bool {
		_, want := wanted[p.PaymentIntent]
		return want
	})
	known := make(map[string]Payment, len(found.Rows))
	for _, p := range found.Rows {
		known[p.PaymentIntent] = p
	}
	return known, err
}
