package sandbox

// payout is a transfer to the shop's bank account, as Stripe shows it.
type payout struct {
	ID                        string            `json:"id"`
	Object                    string            `json:"object"`
	Amount                    int64             `json:"amount"`
	ArrivalDate               int64             `json:"arrival_date"`
	Automatic                 bool              `json:"automatic"`
	BalanceTransaction        string            `json:"balance_transaction"`
	Created                   int64             `json:"created"`
	Currency                  string            `json:"currency"`
	Description               string            `json:"description"`
	Destination               text              `json:"destination"`
	FailureBalanceTransaction absent            `json:"failure_balance_transaction"`
	FailureCode               absent            `json:"failure_code"`
	FailureMessage            absent            `json:"failure_message"`
	Livemode                  bool              `json:"livemode"`
	Metadata                  map[string]string `json:"metadata"`
	Method                    string            `json:"method"`
	OriginalPayout            absent            `json:"original_payout"`
	ReconciliationStatus      string            `json:"reconciliation_status"`
	ReversedBy                absent            `json:"reversed_by"`
	SourceType                string            `json:"source_type"`
	StatementDescriptor       absent            `json:"statement_descriptor"`
	Status                    string            `json:"status"`
	Type                      string            `json:"type"`

	private payoutPrivate
}

// payoutPrivate is the part of a payout that is only in the journal.
type payoutPrivate struct {
	// First and End bound the indexes of the balance transactions of its currency that it pays out.
	First int `json:"first"`
	End   int `json:"end"`
}

type payoutNote struct {
	Facts *payoutFacts `json:"news,omitempty"`
	payoutPrivate
}

type payoutFacts struct {
	Created  int64  `json:"created"`
	Currency string `json:"currency"`
	End      int    `json:"paid"`
}

// payOut makes the automatic payout of a day: what is available in the currency of the balance transaction. If that is nothing or
// less, it waits for the next day.
func (t *tx) payOut(index int) {
	first, err := t.server.balances.get(index)
	if orFail(t, first, err) == nil {
		return
	}
	owed := t.server.owed[first.Currency]
	net, end := owed.available(t.now.Unix())
	if net <= 0 {
		return
	}
	p := &payout{
		ID: newID("po"), Object: "payout", Amount: net, ArrivalDate: t.now.Truncate(day).Unix(), Automatic: true, Created: t.now.Unix(),
		Currency: first.Currency, Description: "STRIPE PAYOUT", Destination: "ba_sandbox", Metadata: map[string]string{}, Method: "standard",
		ReconciliationStatus: "completed", SourceType: "card", Status: "paid", Type: "bank_account",
		private: payoutPrivate{First: owed.first, End: end},
	}
	p.BalanceTransaction = t.book(bookPayout, p.ID, p.Currency, -net, 0).ID
	t.putPayout(p)
	t.emit("payout.paid", p)
}

func (t *tx) putPayout(p *payout) {
	facts := &payoutFacts{Created: p.Created, Currency: p.Currency, End: p.private.End}
	t.put(linePayout, p.ID, payoutNote{facts, p.private}, p)
	t.installs = append(t.installs, func(at int64) { t.server.installPayout(p.ID, at, facts, p) })
}

func (s *Server) installPayout(id string, at int64, facts *payoutFacts, p *payout) {
	index, created := s.payouts.put(id, at, p)
	if !created || facts == nil {
		return
	}
	s.payouts.rows[index].created = uint32(facts.Created)
	if owed := s.owed[facts.Currency]; owed != nil {
		owed.paidOut(facts.End)
	}
}

func decodePayout(l line) (*payout, error) {
	return decodeWith(l, func(p *payout) any { return &p.private })
}

// paidRange selects the balance transactions of a payout; the zero value selects all.
type paidRange struct{ payout *payout }

func (t *tx) readPaidRange(id string) (paidRange, *apiError) {
	if id == "" {
		return paidRange{}, nil
	}
	p, err := t.server.payouts.find(id)
	if orFail(t, p, err) == nil {
		return paidRange{}, notFound("payout", "payout", id)
	}
	return paidRange{p}, nil
}

// includes is true for every index that may be one of the payout. Its own transaction comes after those that it pays out.
func (r paidRange) includes(index int) bool {
	return r.payout == nil || index >= r.payout.private.First
}

// has reports whether the payout has that transaction. index is checked by the caller with includes.
func (r paidRange) has(b *balanceTransaction, index int) bool {
	p := r.payout
	switch {
	case p == nil, b.ID == p.BalanceTransaction:
		return true
	}
	return index < p.private.End && b.Currency == p.Currency && b.Type != bookPayout.kind
}

var payoutListParams = append([]string{"arrival_date", "created", "status"}, pageParams...)

// getPayout answers GET /v1/payouts/{id}.
func getPayout(t *tx, c *call) (any, *apiError) {
	p, err := t.server.payouts.find(c.target)
	if orFail(t, p, err) == nil {
		return nil, notFound("payout", "id", c.target)
	}
	return p, nil
}

// listPayouts answers GET /v1/payouts, newest first.
func listPayouts(t *tx, c *call) (any, *apiError) {
	created, problem := readTimeRange(c.form, "created")
	if problem != nil {
		return nil, problem
	}
	arrived, problem := readTimeRange(c.form, "arrival_date")
	if problem != nil {
		return nil, problem
	}
	payouts := t.server.payouts
	match := func(index int) bool {
		if !created.includes(payouts.rows[index].created) {
			return false
		}
		p, err := payouts.get(index)
		return orFail(t, p, err) != nil && arrived.includes(uint32(p.ArrivalDate)) && matchesWord(c.form, "status", p.Status)
	}
	indexes, more, problem := readPage(c.form, len(payouts.rows), payouts.index, match)
	if problem != nil {
		return nil, problem
	}
	return newPage(c.path, showAll(t, payouts, indexes), more), nil
}
