package invariants

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/target"
	"tillstream/events/project"
	"tillstream/events/replay"
)

// Options is what to check and how long to wait.
type Options struct {
	Acknowledged    []string             // ids of orders that were answered 201; each must be in the log
	ArchivePatience time.Duration        // how long to wait for the archive to reach the end of the log; default 30 s
	Client          *http.Client         // for Stripe and the mailbox; default a client with a timeout of 30 s
	DB              *mongo.Database      // with the archive and the projections; default none: I6 is skipped
	ExpectedDead    []DeadLetter         // dead letters that must exist, and may be open; default none
	Log             *replay.Reader       // required
	Mail            string               // origin of the mailbox; default none: I4 is checked in the log only
	Now             func() time.Time     // default time.Now
	Patience        time.Duration        // how long to read orders on their way again; default 5 s
	Progress        func(Progress)       // called a few times a second; default not called
	Projections     []project.Projection // whose indexes must exist in DB; default none
	Settle          time.Duration        // how long after its last event an order counts as on its way; default 60 s
	StripeKey       string               // secret key; default none: I2 is checked in the log only
	StripeURL       string               // origin of Stripe or the sandbox; needed with StripeKey
}

// Progress is how far a check has come.
type Progress struct {
	Stage string
	Done  uint64
	Total uint64 // 0 if unknown
}

// Attach opens the parts of a shop that a check needs. Parts whose addresses are unknown are left out. The caller calls stop
// when the check is done.
func Attach(ctx context.Context, shop target.Shop) (options Options, stop func(), err error) {
	reader, stopLog, err := shop.Log(ctx)
	if err != nil {
		return Options{}, nil, err
	}
	options = Options{Log: reader, Mail: shop.Mail, StripeURL: shop.Stripe, StripeKey: shop.StripeSecretKey}
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
