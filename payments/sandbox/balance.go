package sandbox

import (
	"maps"
	"slices"
	"time"
)

// day is the unit of what becomes available and is paid out.
const day = 24 * time.Hour

// bookType is why a balance transaction was booked: its type and its reporting category.
type bookType struct{ kind, category string }

var (
	bookCharge          = bookType{"charge", "charge"}
	bookPayment         = bookType{"payment", "charge"} // of a method other than a card
	bookRefund          = bookType{"refund", "refund"}
	bookRefundFailure   = bookType{"refund_failure", "refund_failure"}
	bookDispute         = bookType{"adjustment", "dispute"}
	bookDisputeReversal = bookType{"adjustment", "dispute_reversal"}
	bookPayout          = bookType{"payout", "payout"}
)

// balanceTransaction is one change of the shop's balance, as Stripe shows it. The balance is in the currency of the payment;
// nothing is converted.
type balanceTransaction struct {
	ID                string      `json:"id"`
	Object            string      `json:"object"`
	Amount            int64       `json:"amount"`
	AvailableOn       int64       `json:"available_on"`
	Created           int64       `json:"created"`
	Currency          string      `json:"currency"`
	Description       text        `json:"description"`
	ExchangeRate      absent      `json:"exchange_rate"`
	Fee               int64       `json:"fee"`
	FeeDetails        []feeDetail `json:"fee_details"`
	Net               int64       `json:"net"`
	ReportingCategory string      `json:"reporting_category"`
	Source            string      `json:"source"`
	Status            string      `json:"status"`
	Type              string      `json:"type"`
}

type feeDetail struct {
	Amount      int64  `json:"amount"`
	Application absent `json:"application"`
	Currency    string `json:"currency"`
	Description string `json:"description"`
	Type        string `json:"type"`
}

// paymentFee returns the fee of a captured amount in minor units: 2.9 %, rounded, and 30 minor units in every currency. Stripe's
// fixed fee differs by currency (stripe.com/pricing).
func paymentFee(amount int64) int64 { return (amount*29+500)/1000 + 30 }

// book records a change of the balance that becomes available on the second day after, at midnight UTC. net is amount less fee.
func (t *tx) book(why bookType, source, currency string, amount, fee int64) *balanceTransaction {
	b := &balanceTransaction{
		ID: newID("txn"), Object: "balance_transaction", Amount: amount, Created: t.now.Unix(), Currency: currency, Fee: fee,
		FeeDetails: []feeDetail{}, Net: amount - fee, ReportingCategory: why.category, Source: source, Status: "pending", Type: why.kind,
	}
	if fee != 0 {
		description := "Stripe processing fees"
		if why.kind == bookDispute.kind {
			description = "Dispute fee"
		}
		b.FeeDetails = append(b.FeeDetails, feeDetail{Amount: fee, Currency: currency, Description: description, Type: "stripe_fee"})
	}
	b.AvailableOn = t.now.Truncate(day).Add(2 * day).Unix()
	owed := t.server.owed[currency]
	if last := owed.lastDay(); last > b.AvailableOn {
		b.AvailableOn = last // the clock was moved backwards
	}
	if why == bookPayout {
		b.AvailableOn, b.Status = t.now.Unix(), available
	}
	t.putBalanceTransaction(b)
	if why != bookPayout && owed.lastDay() < b.AvailableOn {
		t.schedule(taskPayout, b.ID, b.AvailableOn)
	}
	return b
}

// shown returns the transaction with its status at a time.
func (b *balanceTransaction) shown(now time.Time) *balanceTransaction {
	shown := clone(b)
	if shown != nil && shown.AvailableOn <= now.Unix() {
		shown.Status = available
	}
	return shown
}

type balanceNote struct {
	Facts *balanceFacts `json:"news,omitempty"`
}

// balanceFacts are on the only line of a balance transaction.
type balanceFacts struct {
	Created  int64  `json:"created"`
	Source   uint64 `json:"source"` // hash
	Currency string `json:"currency"`
	Net      int64  `json:"net"`
	On       int64  `json:"on,omitempty"` // when it is available; 0 for a payout
}

func (t *tx) putBalanceTransaction(b *balanceTransaction) {
	facts := &balanceFacts{Created: b.Created, Source: pairHash("source", b.Source), Currency: b.Currency, Net: b.Net}
	if b.Type != bookPayout.kind {
		facts.On = b.AvailableOn
	}
	t.put(lineBalance, b.ID, balanceNote{facts}, b)
	t.installs = append(t.installs, func(at int64) { t.server.installBalance(b.ID, at, facts, b) })
}

func (s *Server) installBalance(id string, at int64, facts *balanceFacts, b *balanceTransaction) {
	index, created := s.balances.put(id, at, b)
	if !created || facts == nil {
		return
	}
	s.balances.rows[index].created = uint32(facts.Created)
	s.bookedFor.add([]uint64{facts.Source}, index)
	if facts.On == 0 {
		return
	}
	owed := s.owed[facts.Currency]
	if owed == nil {
		owed = &ledger{}
		s.owed[facts.Currency] = owed
	}
	owed.add(index, facts.Net, facts.On)
}

// ledger is what the shop has not been paid out in one currency, by the day on which it is available.
type ledger struct {
	first int // index of a balance transaction; those before it are paid out
	days  []ledgerDay
}

type ledgerDay struct {
	on  int64 // midnight in Unix seconds
	end int   // index after its last balance transaction
	net int64 // minor units
}

func (l *ledger) lastDay() int64 {
	if l == nil || len(l.days) == 0 {
		return 0
	}
	return l.days[len(l.days)-1].on
}

func (l *ledger) add(index int, net, on int64) {
	if l.lastDay() != on {
		l.days = append(l.days, ledgerDay{on: on})
	}
	last := &l.days[len(l.days)-1]
	last.end, last.net = index+1, last.net+net
}

// available returns the net of what is available at a time, and the index after its last balance transaction.
func (l *ledger) available(now int64) (net int64, end int) {
	end = l.first
	for _, d := range l.days {
		if d.on <= now {
			net, end = net+d.net, d.end
		}
	}
	return net, end
}

// amounts returns what is available at a time, and what will be later.
func (l *ledger) amounts(now int64) (ready, later int64) {
	ready, _ = l.available(now)
	later = -ready
	for _, d := range l.days {
		later += d.net
	}
	return ready, later
}

// paidOut removes what is before an index.
func (l *ledger) paidOut(end int) {
	l.days = slices.DeleteFunc(l.days, func(d ledgerDay) bool { return d.end <= end })
	l.first = end
}

var balanceListParams = append([]string{"created", "currency", "payout", "source", "type"}, pageParams...)

// getBalanceTransaction answers GET /v1/balance_transactions/{id}.
func getBalanceTransaction(t *tx, c *call) (any, *apiError) {
	b, err := t.server.balances.find(c.target)
	if orFail(t, b, err) == nil {
		return nil, notFound("balance transaction", "id", c.target)
	}
	return b.shown(t.now), nil
}

// listBalanceTransactions answers GET /v1/balance_transactions, newest first.
func listBalanceTransactions(t *tx, c *call) (any, *apiError) {
	created, problem := readTimeRange(c.form, "created")
	if problem != nil {
		return nil, problem
	}
	paid, problem := t.readPaidRange(c.form["payout"])
	if problem != nil {
		return nil, problem
	}
	balances := t.server.balances
	match := func(index int) bool {
		if !created.includes(balances.rows[index].created) || !paid.includes(index) {
			return false
		}
		b, err := balances.get(index)
		return orFail(t, b, err) != nil && matchesWord(c.form, "type", b.Type) && matchesWord(c.form, "currency", b.Currency) &&
			matchesWord(c.form, "source", b.Source) && paid.has(b, index)
	}
	var indexes []int
	var more bool
	if source := c.form["source"]; source != "" {
		indexes, more, problem = readPageAmong(c.form, t.server.bookedFor.find(pairHash("source", source)), balances.index, match)
	} else {
		indexes, more, problem = readPage(c.form, len(balances.rows), balances.index, match)
	}
	if problem != nil {
		return nil, problem
	}
	shown := make([]any, 0, len(indexes))
	for _, index := range indexes {
		b, err := balances.get(index)
		shown = append(shown, orFail(t, b, err).shown(t.now))
	}
	return newPage(c.path, shown, more), nil
}

// matchesWord reports whether the parameter was not sent, or is the word.
func matchesWord(f form, name, word string) bool { return !f.has(name) || f[name] == word }

// balance is the shop's money by currency.
type balance struct {
	Object    string          `json:"object"`
	Available []balanceAmount `json:"available"`
	Livemode  bool            `json:"livemode"`
	Pending   []balanceAmount `json:"pending"`
}

type balanceAmount struct {
	Amount      int64            `json:"amount"`
	Currency    string           `json:"currency"`
	SourceTypes map[string]int64 `json:"source_types"`
}

// getBalance answers GET /v1/balance: what is not paid out, after fees.
func getBalance(t *tx, _ *call) (any, *apiError) {
	shown := &balance{Object: "balance", Available: []balanceAmount{}, Pending: []balanceAmount{}}
	for _, currency := range slices.Sorted(maps.Keys(t.server.owed)) {
		owed := t.server.owed[currency]
		now, later := owed.amounts(t.now.Unix())
		shown.Available = append(shown.Available, balanceAmount{now, currency, map[string]int64{"card": now}})
		shown.Pending = append(shown.Pending, balanceAmount{later, currency, map[string]int64{"card": later}})
	}
	return shown, nil
}
