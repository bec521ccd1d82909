package sandbox

import (
	"embed"
	"html/template"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillstream/events"
)

//go:embed page.html
var pageFiles embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFiles, "page.html"))

// pageRows is how many of the newest objects of a kind the page shows.
const pageRows = 10

// overview is the data of the page.
type overview struct {
	Version, Now, Problem, Done                  string
	Payments, Refunds, Disputes, Payouts, Events int
	Delivered, Abandoned                         int64
	Waiting                                      int
	Balances                                     []shownBalance
	PaymentRows, RefundRows, DisputeRows         []shownRow
	Presets                                      []string
	Groups                                       []faultGroup
	DelayBy, Hold                                string
	Seed                                         uint64
}

type shownBalance struct{ Available, Pending string }

// shownRow is a payment, a refund or a dispute.
type shownRow struct {
	ID, Payment, Status, Amount, Created, Reason, Due string
	Open                                              bool // an action is possible
}

type faultGroup struct {
	Name   string
	Fields []faultField
}

type faultField struct {
	Name, Label, Percent string
	Count                int
}

// people lets a person on this machine use the page, or one with the secret key from elsewhere. A sandbox with a public address needs
// the key always: a proxy before it may forward requests from elsewhere and not say so.
func (s *Server) people(next http.HandlerFunc) http.HandlerFunc {
	withKey, public := s.withSecretKey(next), isPublic(s.config.BaseURL)
	return func(w http.ResponseWriter, r *http.Request) {
		if !public && onThisMachine(r) {
			next(w, r)
			return
		}
		withKey(w, r)
	}
}

// onThisMachine reports whether the browser runs on this machine and has named it so. The name of another site could resolve to this
// machine, and a proxy on it forwards requests from elsewhere.
func onThisMachine(r *http.Request) bool {
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		name = r.Host
	}
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	forwarded := r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Via") != ""
	return err == nil && !forwarded && isLoopback(peer) && (name == "localhost" || isLoopback(strings.Trim(name, "[]")))
}

// isPublic reports whether other machines can reach an address, "" for the one that the server listens on.
func isPublic(address string) bool {
	u, err := url.Parse(address)
	return address != "" && (err != nil || u.Hostname() != "localhost" && !isLoopback(u.Hostname()))
}

func isLoopback(address string) bool {
	ip := net.ParseIP(address)
	return ip != nil && ip.IsLoopback()
}

// showPage answers GET /sandbox.
func (s *Server) showPage(w http.ResponseWriter, r *http.Request) {
	s.renderPage(w, http.StatusOK, pageDone[r.URL.Query().Get("done")], "")
}

func (s *Server) renderPage(w http.ResponseWriter, status int, done, problem string) {
	data, err := s.overview()
	if err != nil {
		s.config.Logger.Error("show the sandbox's page", "error", err)
		http.Error(w, "the sandbox failed; its log has the cause", http.StatusInternalServerError)
		return
	}
	data.Done, data.Problem = done, problem
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(status)
	if err := pageTemplate.Execute(w, data); err != nil {
		s.config.Logger.Debug("send the sandbox's page", "error", err)
	}
}

// overview reads what the page shows.
func (s *Server) overview() (overview, error) {
	f, injected := s.faults.current()
	o := overview{
		Version: APIVersion, Now: s.now().UTC().Format("Monday, 2 January 2006, 15:04:05 MST"), Presets: presetNames,
		Delivered: s.delivered.Load(), Abandoned: s.abandoned.Load(), DelayBy: time.Duration(f.Webhooks.DelayBy).String(),
		Hold: time.Duration(f.Requests.Hold).String(), Seed: f.Seed, Groups: faultGroups(f, injected),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o.Payments, o.Refunds, o.Disputes = len(s.intents.rows), len(s.refunds.rows), len(s.disputes.rows)
	o.Payouts, o.Events = len(s.payouts.rows), len(s.events.rows)
	for _, row := range s.events.rows {
		if row.pending {
			o.Waiting++
		}
	}
	t := s.begin(&call{})
	for _, currency := range slices.Sorted(maps.Keys(s.owed)) {
		now, later := s.owed[currency].amounts(t.now.Unix())
		o.Balances = append(o.Balances, shownBalance{money(now, currency), money(later, currency)})
	}
	for _, in := range newest(t, s.intents) {
		o.PaymentRows = append(o.PaymentRows, shownRow{
			ID: in.ID, Status: in.Status, Amount: money(in.Amount, in.Currency), Created: shownTime(in.Created), Open: t.disputable(in),
		})
	}
	for _, re := range newest(t, s.refunds) {
		o.RefundRows = append(o.RefundRows, shownRow{
			ID: re.ID, Payment: re.PaymentIntent, Status: re.Status, Amount: money(re.Amount, re.Currency), Created: shownTime(re.Created),
		})
	}
	for _, d := range newest(t, s.disputes) {
		row := shownRow{ID: d.ID, Payment: d.PaymentIntent, Status: d.Status, Amount: money(d.Amount, d.Currency), Reason: d.Reason}
		if row.Open = strings.HasSuffix(d.Status, needsResponse); row.Open {
			row.Due = shownTime(int64(d.EvidenceDetails.DueBy))
		}
		o.DisputeRows = append(o.DisputeRows, row)
	}
	return o, t.err
}

// newest returns the newest objects of a kind, the newest first.
func newest[T any](t *tx, o *objects[T]) (states []*T) {
	for index := len(o.rows) - 1; index >= max(0, len(o.rows)-pageRows); index-- {
		state, err := o.get(index)
		if orFail(t, state, err) != nil {
			states = append(states, state)
		}
	}
	return states
}

// disputable reports whether the intent has money that is not disputed.
func (t *tx) disputable(in *intent) bool {
	if in.AmountReceived == 0 {
		return false
	}
	ch := t.charge(string(in.LatestCharge))
	return ch != nil && !ch.Disputed && ch.refundable() > 0
}

func money(amount int64, currency string) string {
	return events.Money{Amount: amount, Currency: strings.ToUpper(currency)}.Format("en")
}

func shownTime(at int64) string { return time.Unix(at, 0).UTC().Format("2 Jan 2006 15:04") }

// faultGroups are the fields of the form. A field has the name of its fault.
func faultGroups(f Faults, injected map[string]int) []faultGroup {
	probabilities := f.probabilities()
	group := func(name string, faults ...string) faultGroup {
		g := faultGroup{Name: name}
		for _, fault := range faults {
			_, label, _ := strings.Cut(fault, ".")
			g.Fields = append(g.Fields, faultField{
				Name: fault, Label: strings.ReplaceAll(label, "_", " "), Count: injected[fault],
				Percent: strconv.FormatFloat(100*probabilities[fault], 'g', 6, 64),
			})
		}
		return g
	}
	return []faultGroup{
		group("Webhooks", faultDrop, faultDuplicate, faultReorder, faultDelay, faultForge, faultOldVersion, faultForeign),
		group("Requests", faultTimeoutBefore, faultTimeoutAfter, faultRateLimited, faultServerError, faultStored500, faultConflict, faultSearchRefused),
	}
}
