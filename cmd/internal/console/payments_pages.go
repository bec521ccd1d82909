package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
	"tillstream/payments"
)

func (c *console) paymentRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/payments", c.view(api.ReadAll, c.showPayments))
	mux.Handle("GET /ops/payments/{id}", c.view(api.ReadAll, c.showPayment))
	mux.Handle("GET /ops/payments/open", c.view(api.ReadAll, c.showOpenPayments))
	mux.Handle("POST /ops/payments/check", c.act(api.ReadAll, c.checkPayments))
}

// paymentList is what the list of payments shows.
type paymentList struct {
	payments.ListBody
	Q, Status, Cursor string
	Dispute           string // "any", "open" or ""
	Statuses          []payments.Status
	First, Next       string
}

func (c *console) showPayments(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	list := paymentList{Q: strings.TrimSpace(query.Get("q")), Status: query.Get("status"), Cursor: query.Get("cursor"), Statuses: payments.Statuses()}
	if dispute := query.Get("dispute"); dispute == "any" || dispute == "open" {
		list.Dispute = dispute
	}
	if list.Status != "" && !slices.Contains(list.Statuses, payments.Status(list.Status)) {
		list.Status = ""
	}
	address := withQuery("/ops/api/payments", map[string]string{"q": list.Q, "status": list.Status, "dispute": list.Dispute, "cursor": list.Cursor})
	if err := c.callAPI(r, http.MethodGet, address, nil, &list.ListBody); err != nil {
		return err
	}
	if list.NextCursor != "" {
		list.Next = withQuery(r.URL.Path, map[string]string{"q": list.Q, "status": list.Status, "dispute": list.Dispute, "cursor": list.NextCursor})
	}
	if list.Cursor != "" {
		list.First = withQuery(r.URL.Path, map[string]string{"q": list.Q, "status": list.Status, "dispute": list.Dispute})
	}
	return c.render(w, r, "payments.html", page{Title: "Payments", Nav: "Payments", Data: list})
}

// showPayment leads from the address of a payment, which links of events have, to the list with this payment alone.
func (c *console) showPayment(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, withQuery("/ops/payments", map[string]string{"q": r.PathValue("id")}), http.StatusSeeOther)
	return nil
}

// openPayments is what the page of disagreements and open items shows.
type openPayments struct {
	Check         workState[invariants.Report]
	CanCheck      bool
	Letters       []replay.DeadLetter // open ones of the lanes of payments
	Disputed      []payments.ListedPayment
	FailedRefunds []payments.ListedPayment
	PaidLate      []lateOrder
}

// lateOrder is an order that was paid after it had ended.
type lateOrder struct {
	ID     string       `json:"id"`
	Number string       `json:"number"`
	Email  string       `json:"email"`
	Total  events.Money `json:"total"`
}

func (c *console) showOpenPayments(w http.ResponseWriter, r *http.Request) error {
	data := openPayments{Check: c.work.payments.get(), CanCheck: c.CheckPayments != nil}
	var err error
	if data.Letters, err = c.paymentLetters(r.Context()); err != nil {
		return err
	}
	var refunds payments.ListBody
	if err := c.callAPI(r, http.MethodGet, "/ops/api/payments?failed_refund=true&limit=100", nil, &refunds); err != nil {
		return err
	}
	data.FailedRefunds = refunds.Payments
	if data.Disputed, err = c.openDisputes(r); err != nil {
		return err
	}
	var late struct {
		Orders []lateOrder `json:"orders"`
	}
	if err := c.callAPI(r, http.MethodGet, "/ops/api/orders?status=paid_late&limit=100", nil, &late); err != nil {
		return err
	}
	data.PaidLate = late.Orders
	return c.render(w, r, "payments-open.html", page{Title: "Open items of payments", Nav: "Payments", Data: data, Command: "ops verify",
		Crumbs: []anchor{{"Payments", "/ops/payments"}}})
}

// openDisputes returns the payments with a dispute that is not closed, those whose evidence is due first at the top.
func (c *console) openDisputes(r *http.Request) ([]payments.ListedPayment, error) {
	var list payments.ListBody
	if err := c.callAPI(r, http.MethodGet, "/ops/api/payments?dispute=open&limit=200", nil, &list); err != nil {
		return nil, err
	}
	slices.SortStableFunc(list.Payments, func(a, b payments.ListedPayment) int { return answerBy(a).Compare(answerBy(b)) })
	return list.Payments, nil
}

// answerBy returns until when a payment's disputes have to be answered, a far time if they have not.
func answerBy(p payments.ListedPayment) time.Time {
	first := time.Unix(1<<40, 0)
	for _, d := range p.Disputes {
		if d.Unanswered() && !d.EvidenceDue.IsZero() && d.EvidenceDue.Before(first) {
			first = d.EvidenceDue
		}
	}
	return first
}

// disputeProblems are the disputes that have to be answered. An error is only logged: the overview has more to show.
func (c *console) disputeProblems(r *http.Request) []problem {
	open, err := c.openDisputes(r)
	if err != nil {
		c.Logger.DebugContext(r.Context(), "disputes not listed", "error", err)
	}
	open = slices.DeleteFunc(open, func(p payments.ListedPayment) bool {
		return !slices.ContainsFunc(p.Disputes, func(d payments.ListedDispute) bool { return d.Unanswered() })
	})
	if len(open) == 0 {
		return nil
	}
	detail := "order " + open[0].Number
	if due := answerBy(open[0]); due.Year() < 10000 {
		detail = "the first by " + due.UTC().Format("2 January 2006") + ": " + detail
	}
	return []problem{{Bad: true, Kind: "Disputes", Title: plural(len(open), "dispute") + " to be answered", Detail: detail, To: "/ops/payments/open#disputes-title",
		Command: "ops payments --dispute open"}}
}

// paymentLetters returns the open dead letters of the lanes of payments, newest first.
func (c *console) paymentLetters(ctx context.Context) ([]replay.DeadLetter, error) {
	all, err := c.Log.DeadLetters(ctx, 0)
	if err != nil {
		return nil, err
	}
	open := slices.DeleteFunc(all, func(d replay.DeadLetter) bool { return d.State != replay.StateOpen || !ofPayments(d.Worker) })
	slices.SortFunc(open, func(a, b replay.DeadLetter) int { return cmp.Compare(b.Number, a.Number) })
	return open, nil
}

func ofPayments(lane string) bool { return lane == "payments" || strings.HasPrefix(lane, "payments.") }

// checkPayments starts the comparison of the payments with Stripe.
func (c *console) checkPayments(r *http.Request, author events.Author) (outcome, error) {
	if c.CheckPayments == nil {
		return outcome{}, errors.New("the console has no key of Stripe: set STRIPE_SECRET_KEY where it runs")
	}
	err := c.work.payments.start(r.Context(), author.Actor, "comparing the payments with Stripe", func(ctx context.Context, report progress) (invariants.Report, error) {
		return c.CheckPayments(ctx, func(p invariants.Progress) { report(p.Stage, p.Done, p.Total) })
	})
	return outcome{Text: "The payments are being compared with Stripe.", To: "/ops/payments/open"}, err
}

// CheckPaymentsWith returns the comparison of the payments in a log with Stripe for Config.CheckPayments, nil without a secret key.
func CheckPaymentsWith(log *replay.Reader, stripeURL, secretKey string) func(context.Context, func(invariants.Progress)) (invariants.Report, error) {
	if secretKey == "" {
		return nil
	}
	return func(ctx context.Context, progress func(invariants.Progress)) (invariants.Report, error) {
		return invariants.CheckPayments(ctx, invariants.Options{Log: log, StripeURL: cmp.Or(stripeURL, StripeAPI), StripeKey: secretKey, Progress: progress})
	}
}

// StripeAPI is the origin of Stripe.
const StripeAPI = "https://api.stripe.com"
