package invariants

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/project"
	"tillstream/events/replay"
)

// Options is what to check and how long to wait.
type Options struct {
	Acknowledged        []string             // ids of orders that were answered 201; each must be in the log
	At                  replay.Moment        // check the shop as it was at this moment, which [replay.Reader.At] has returned; default now
	ArchivePatience     time.Duration        // how long to wait for the archive to reach the end of the log; default 30 s
	Client              *http.Client         // for Stripe and the mailbox; default a client with a timeout of 30 s
	Deep                bool                 // compare log and archive also by subject, headers and body
	DB                  *mongo.Database      // with the archive and the projections; default none: I6 is skipped
	ExpectedDeadLetters []DeadLetter         // dead letters that must exist, and may be open; default none
	Log                 *replay.Reader       // required
	Mail                string               // origin of the mailbox; default none: I4 is checked in the log only
	MailToken           string               // ops token, with which a public shop shows its mailbox; default none
	Now                 func() time.Time     // default time.Now
	Patience            time.Duration        // how long to read orders on their way again; default 5 s
	Progress            func(Progress)       // called a few times a second; default not called
	Projections         []project.Projection // whose indexes must exist in DB; default none
	Settle              time.Duration        // how long after its last event an order counts as on its way; default 60 s
	StripeKey           string               // secret key; default none: I2 is checked in the log only
	StripeURL           string               // origin of Stripe or the sandbox; needed with StripeKey
}

// Progress is how far a check has come.
type Progress struct {
	Stage string
	Done  uint64
	Total uint64 // 0 if unknown
}

// OptionsOf returns the options with the addresses and keys of a shop's other servers: Stripe and the mailbox.
func OptionsOf(shop target.Shop) Options {
	return Options{Mail: shop.Mail, MailToken: mailKey(shop), StripeURL: shop.Stripe, StripeKey: shop.StripeSecretKey}
}

// Attach opens the parts of a shop that a check needs. Parts whose addresses are unknown are left out. The caller calls stop
// when the check is done.
func Attach(ctx context.Context, shop target.Shop) (options Options, stop func(), err error) {
	reader, stopLog, err := shop.Log(ctx)
	if err != nil {
		return Options{}, nil, err
	}
	options = OptionsOf(shop)
	options.Log = reader
	if shop.MongoDB == "" {
		return options, stopLog, nil
	}
	db, stopDB, err := shop.Database(ctx)
	if err != nil {
		stopLog()
		return Options{}, nil, err
	}
	options.DB = db
	return options, func() { stopDB(); stopLog() }, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.Log == nil {
		return o, errors.New("invariants: Options.Log is required")
	}
	if o.past() {
		// What other servers have is known for now only.
		o.DB, o.Mail, o.StripeKey, o.Now = nil, "", "", func() time.Time { return o.At.Time }
	}
	o.ArchivePatience = cmp.Or(o.ArchivePatience, 30*time.Second)
	o.Patience = cmp.Or(o.Patience, 5*time.Second)
	o.Settle = cmp.Or(o.Settle, time.Minute)
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 30 * time.Second}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return o, nil
}

// past reports whether the shop is checked as it was at an earlier moment.
func (o Options) past() bool { return o.At.Sequence > 0 }

// skippedInThePast names what is not checked at an earlier moment, by invariant.
var skippedInThePast = map[string]string{
	CapturedOnce: "Stripe, which tells only its present state",
	MailedOnce:   "the mailbox, which tells only its present state",
	ArchivedAll:  "the archive, which is as it is now",
}

// checker is one run of [Check].
type checker struct {
	Options
	ledger  *ledger
	mailbox mailbox
	last    uint64   // sequence of the last event when the check began
	dead    uint64   // sequence of the last message in DEADLETTERS when the check began
	digest  []uint64 // by sequence: the hash of the event id, and marks
	report  Report
	scopes  map[string]string // by invariant: what was checked
	skipped map[string]string // by invariant: what was not checked, and why
	stage   atomic.Pointer[string]
	done    atomic.Uint64
	total   atomic.Uint64
}

// Check reads the whole shop and reports every violation of an invariant. An error means that a part of the shop could not be
// read; then no invariant was checked completely.
func Check(ctx context.Context, options Options) (Report, error) {
	return check(ctx, options, func(c *checker) []step {
		// The mailbox is read before the log, so that every mail in it is also in the log.
		return []step{{"mailbox", c.readMailbox}, {"log", c.readLog}, {"orders", c.checkOrders}, {"stripe", c.checkStripe},
			{"archive", c.checkArchive}, {"dead letters", c.checkDeadLetters}, {"indexes", c.checkIndexes}}
	})
}

// CheckPayments is the part of [Check] about money: it compares the payments in the log with the orders and with Stripe. The report
// has the findings of [CapturedOnce] and [MoneyForGoods], and the open items of payments. It needs Options.StripeKey.
func CheckPayments(ctx context.Context, options Options) (Report, error) {
	if options.StripeKey == "" || options.StripeURL == "" {
		return Report{}, errors.New("invariants: Options.StripeKey and Options.StripeURL are required")
	}
	report, err := check(ctx, options, func(c *checker) []step {
		return []step{{"log", c.readLog}, {"orders", c.checkOrders}, {"stripe", c.checkStripe}}
	})
	other := func(invariant string) bool { return invariant != CapturedOnce && invariant != MoneyForGoods }
	report.Findings = slices.DeleteFunc(report.Findings, func(f Finding) bool { return other(f.Invariant) })
	report.Checks = slices.DeleteFunc(report.Checks, func(c Checked) bool { return other(c.Invariant) })
	report.OK = len(report.Findings) == 0
	return report, err
}

// step is one part of a check.
type step struct {
	stage string
	run   func(context.Context) error
}

func check(ctx context.Context, options Options, steps func(*checker) []step) (Report, error) {
	options, err := options.withDefaults()
	if err != nil {
		return Report{}, err
	}
	c := &checker{Options: options, ledger: newLedger(),
		scopes: map[string]string{}, skipped: map[string]string{},
		report: Report{Findings: []Finding{}, OpenItems: []OpenItem{}, Counts: Counts{ByStatus: map[string]int{}}}}
	start := time.Now()
	stop := c.reportProgress(ctx)
	defer stop()
	for _, s := range steps(c) {
		c.enter(s.stage, 0)
		if err := s.run(ctx); err != nil {
			return Report{}, fmt.Errorf("check %s: %w", s.stage, err)
		}
	}
	if c.past() {
		c.skipped, c.report.At = skippedInThePast, &c.At
	}
	c.report.Findings = append(c.report.Findings, c.ledger.findings...)
	c.report.Counts.Unreadable = c.ledger.unreadable
	c.report.finish(c.scopes, c.skipped, time.Since(start))
	return c.report, nil
}

// CheckRecovered checks a shop that must be at rest within a time, for example after faults. It makes no exception for recent
// orders: it repeats [Check] without Options.Settle and Options.Patience until there are no findings or the time is over, and
// returns the last report.
func CheckRecovered(ctx context.Context, options Options, within time.Duration) (Report, error) {
	options.Settle, options.Patience = time.Nanosecond, time.Nanosecond // 0 means the default
	options.ArchivePatience = cmp.Or(options.ArchivePatience, 10*time.Second)
	deadline := time.Now().Add(within)
	for {
		report, err := Check(ctx, options)
		if err != nil || report.OK || time.Now().After(deadline) {
			return report, err
		}
		if err := wait(ctx, recheckEvery); err != nil {
			return report, err
		}
	}
}

// recheckEvery is the pause between two checks of [CheckRecovered].
const recheckEvery = 250 * time.Millisecond

// readLog folds the log up to its present end, and checks I3 and I4, whose violations later events cannot correct.
func (c *checker) readLog(ctx context.Context) (err error) {
	if c.dead, err = c.Log.LastDeadLetter(ctx); err != nil {
		return err
	}
	if c.last, err = c.Log.Last(ctx); err != nil {
		return err
	}
	read := c.Log.Each
	if c.past() {
		if c.At, err = c.Log.EndOfCommit(ctx, c.At); err != nil {
			return err
		}
		c.last, read = c.At.Sequence, c.Log.EachAsOf
	}
	c.report.Counts.Events, c.digest = c.last, make([]uint64, c.last+1)
	c.enter("log", c.last)
	err = read(ctx, replay.Range{To: c.last}, func(m replay.Message) error {
		c.digest[m.Sequence] = present | hash(m.Header.Get(events.HeaderID))&^marks
		c.ledger.add(m)
		c.done.Add(1)
		return nil
	})
	if err != nil {
		return err
	}
	c.findHoles()
	c.checkHistories()
	c.ledger.checkReserved()
	c.report.Counts.SKUs, c.report.Counts.Mails = len(c.ledger.stock), len(c.ledger.mails)
	c.scopes[StockAddsUp] = output.Count(len(c.ledger.stock), "SKU") + ", " + output.Count(c.ledger.entries, "stock event")
	c.scopes[MailedOnce] = output.Count(len(c.ledger.mails), "mail") + " in the log"
	c.checkMailbox()
	return nil
}

// enter names the current stage for the progress.
func (c *checker) enter(stage string, total uint64) {
	c.stage.Store(&stage)
	c.done.Store(0)
	c.total.Store(total)
}

// reportProgress calls Progress a few times a second until stopped.
func (c *checker) reportProgress(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				if stage := c.stage.Load(); stage != nil {
					c.Progress(Progress{Stage: *stage, Done: c.done.Load(), Total: c.total.Load()})
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// checkIndexes reports missing indexes as open items: without them queries are slow and duplicates are possible, but no
// promise is broken yet.
func (c *checker) checkIndexes(ctx context.Context) error {
	if c.DB == nil {
		return nil
	}
	for _, p := range c.Projections {
		for _, collection := range p.Collections {
			missing, err := project.MissingIndexes(ctx, c.DB, collection)
			if err != nil {
				return err
			}
			for _, index := range missing {
				c.report.OpenItems = append(c.report.OpenItems, OpenItem{Subject: "collection " + collection.Name,
					Detail: fmt.Sprintf("index %s is missing; ops rebuild %s creates it", index, p.Name)})
			}
		}
	}
	return nil
}
