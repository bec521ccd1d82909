package invariants

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/project"
	"tillstream/events/replay"
)

// Options say what is checked and how patiently.
type Options struct {
	Acknowledged    []string             // ids of orders that were answered 201: they must exist
	ArchivePatience time.Duration        // how long the archive may take to reach what the log held at the start; default 30 s
	Client          *http.Client         // for Stripe and the mailbox; default one with a time-out of 30 s
	DB              *mongo.Database      // with the archives; nil: I6 is skipped, and the report says so
	ExpectedDead    []DeadLetter         // what may, and must, be a dead letter; default nothing
	Log             *replay.Reader       // required
	Mail            string               // origin of the mailbox; "": I4 is checked in the log alone
	Now             func() time.Time     // default time.Now
	Patience        time.Duration        // how long an order that has just moved is looked at again; default 5 s
	Progress        func(Progress)       // told a few times a second; default nobody
	Projections     []project.Projection // whose indexes are looked for in DB; default none
	Settle          time.Duration        // how long after its last event an order may still be on its way; default 60 s
	StripeKey       string               // secret key; with StripeURL, I2 is checked at Stripe too
	StripeURL       string               // origin of Stripe or its sandbox
}

// Progress is how far a check is.
type Progress struct {
	Stage string
	Done  uint64
	Total uint64 // 0: not known
}

func (o Options) withDefaults() (Options, error) {
	if o.Log == nil {
		return o, errors.New("invariants: Options.Log is required")
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

// checker is one run of the check.
type checker struct {
	Options
	ledger  *ledger
	mailbox mailbox
	last    uint64   // where the log ended when the check began
	dead    uint64   // where the dead letters ended then
	digest  []uint64 // hash of the event id, by sequence
	report  Report
	scopes  map[string]string
	skipped map[string]string
	stage   atomic.Pointer[string]
	done    atomic.Uint64
	total   atomic.Uint64
}

// Check reads the whole shop and reports what is not as promised. An error means that it could not look, which says
// nothing about the shop.
func Check(ctx context.Context, options Options) (Report, error) {
	options, err := options.withDefaults()
	if err != nil {
		return Report{}, err
	}
	c := &checker{Options: options, ledger: newLedger(),
		scopes: map[string]string{}, skipped: map[string]string{},
		report: Report{Findings: []Finding{}, OpenItems: []OpenItem{}, Counts: Counts{ByStatus: map[string]int{}}}}
	start := time.Now()
	stop := c.tellProgress(ctx)
	defer stop()
	// The mailbox comes first: what is in it is then in the log, too, when that is read.
	steps := []struct {
		stage string
		run   func(context.Context) error
	}{
		{"mailbox", c.readMailbox}, {"log", c.readLog}, {"orders", c.judgeOrders}, {"stripe", c.askStripe},
		{"archive", c.compareArchive}, {"dead letters", c.checkDeadLetters}, {"indexes", c.checkIndexes},
	}
	for _, s := range steps {
		c.enter(s.stage, 0)
		if err := s.run(ctx); err != nil {
			return Report{}, fmt.Errorf("check %s: %w", s.stage, err)
		}
	}
	c.report.Findings = append(c.report.Findings, c.ledger.findings...)
	c.report.Counts.Unreadable = c.ledger.unreadable
	c.report.seal(c.scopes, c.skipped, time.Since(start))
	return c.report, nil
}

// readLog folds the log up to where it stands now.
func (c *checker) readLog(ctx context.Context) (err error) {
	if c.dead, err = c.Log.LastDeadLetter(ctx); err != nil {
		return err
	}
	if c.last, err = c.Log.Last(ctx); err != nil {
		return err
	}
	c.report.Counts.Events, c.digest = c.last, make([]uint64, c.last+1)
	c.enter("log", c.last)
	err = c.Log.Each(ctx, replay.Range{To: c.last}, func(m replay.Message) error {
		c.digest[m.Sequence] = present | hash(m.Header.Get(events.HeaderID))&^marks
		c.ledger.add(m)
		c.done.Add(1)
		return nil
	})
	if err != nil {
		return err
	}
	for _, gap := range gaps(c.holes()) {
		c.ledger.find(ArchivedAll, gap.name(), gap.are()+" not in the log, which denies deletion: it is damaged; run ops repair")
	}
	c.ledger.checkReserved()
	c.report.Counts.SKUs, c.report.Counts.Mails = len(c.ledger.stock), len(c.ledger.mails)
	c.scopes[StockAddsUp] = fmt.Sprintf("%d SKUs, %d entries and reservations", len(c.ledger.stock), c.ledger.entries)
	c.scopes[MailedOnce] = fmt.Sprintf("%d mails in the log", len(c.ledger.mails)) + c.scopes[MailedOnce]
	c.checkMailbox()
	return nil
}

// holes are the sequences at which the log has no message.
func (c *checker) holes() (sequences []uint64) {
	for sequence, digest := range c.digest {
		if sequence > 0 && digest&present == 0 {
			sequences = append(sequences, uint64(sequence))
		}
	}
	return sequences
}

// enter names what is being done, for the progress.
func (c *checker) enter(stage string, total uint64) {
	c.stage.Store(&stage)
	c.done.Store(0)
	c.total.Store(total)
}

// tellProgress tells it a few times a second until stopped.
func (c *checker) tellProgress(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if stage := c.stage.Load(); stage != nil {
					c.Progress(Progress{Stage: *stage, Done: c.done.Load(), Total: c.total.Load()})
				}
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// checkIndexes names the indexes that projections lack. Nothing is wrong without them but slow, or lets duplicates in, so
// they are open items.
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
					Detail: fmt.Sprintf("the index %s is missing; ops rebuild %s makes it", index, p.Name)})
			}
		}
	}
	return nil
}
