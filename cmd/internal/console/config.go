package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/invariants"
	"tillstream/events/api"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// ErrConfig is returned by [New] when a setting is missing.
var ErrConfig = errors.New("invalid console configuration")

// SignInService opens and ends sessions of staff. The errors of package staff are shown to the person who sent the form.
type SignInService interface {
	// SignIn checks a password and, if the account has one, a code of a TOTP device. It returns the token of a new session, which
	// [api.StaffAccess] accepts as a bearer token until it expires. It returns staff.ErrRefused, without saying what is wrong, or a
	// *staff.LockedError.
	SignIn(ctx context.Context, name, password, code, via string) (token string, expires time.Time, err error)
	// SignOut ends the session of a token.
	SignOut(ctx context.Context, token, via string) error
	// Accept sets the password of the account for which a one-time link was made, and returns the account's name.
	Accept(ctx context.Context, link, password, via string) (name string, err error)
	// ChangePassword sets another password for the account of a session, and ends its other sessions.
	ChangePassword(ctx context.Context, token, old, password, via string) error
	// NewTOTP returns a secret for an authenticator app, and the address that the app reads from a QR code.
	NewTOTP(ctx context.Context, token string) (secret, address string, err error)
	// SetTOTP makes the account of a session need codes of the app that has the secret. code proves that it has.
	SetTOTP(ctx context.Context, token, secret, code, via string) error
}

// Config configures a console.
type Config struct {
	// Access knows who a session belongs to. Required.
	Access api.StaffAccess
	// API serves /ops/api. Requests with a session cookie reach it with the session as the bearer token. Required.
	API http.Handler
	// ApprovalOver is the number of events above which a replay needs the approval of a second person. Default:
	// [replay.DefaultApprovalOver].
	ApprovalOver int
	// CheckPayments compares the payments with Stripe and reports its progress. Default: none, and the page of payments says which
	// setting it needs.
	CheckPayments func(context.Context, func(invariants.Progress)) (invariants.Report, error)
	// DB has the projections. Required.
	DB *mongo.Database
	// Dispatcher handles events in dry runs. Required.
	Dispatcher *worker.Dispatcher
	// Log reads the log and appends what staff decide. Required.
	Log *replay.Reader
	// Logger is where errors are logged. Default: nowhere.
	Logger *slog.Logger
	// Members decides about accounts of staff and API keys. Default: none, and the page says so.
	Members Members
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// PublicURL is the address at which staff reach the console. An https address makes the session cookie a secure one.
	PublicURL string
	// Readiness returns the state of each process of the shop. Default: none is shown.
	Readiness func(context.Context) []Process
	// ShopName is the name in page headers and titles. Default: Tillstream.
	ShopName string
	// Staff opens sessions. Required.
	Staff SignInService
	// Verify has the addresses and keys of Stripe and of the mailbox, for verifications of the promises. Default: none, and a
	// verification reads what log and archive say about payments and mails.
	Verify invariants.Options
}

// Process is the readiness of one process of the shop.
type Process struct {
	Name     string   // such as "shop" or "orders at http://10.0.0.4:8081"
	Ready    bool     // it serves requests
	Problems []string // reasons why it is not ready, or ready with less than everything
	Codes    []string // of the reasons, such as "disk_full"
}

// checked returns the configuration with its defaults, or an error that names the missing field.
func (c Config) checked() (Config, error) {
	for name, missing := range map[string]bool{"Access": c.Access == nil, "API": c.API == nil, "DB": c.DB == nil,
		"Dispatcher": c.Dispatcher == nil, "Log": c.Log == nil, "Staff": c.Staff == nil} {
		if missing {
			return c, fmt.Errorf("%w: %s is required", ErrConfig, name)
		}
	}
	if c.PublicURL != "" {
		if _, err := api.ParsePublicURL(c.PublicURL); err != nil {
			return c, fmt.Errorf("%w: PublicURL (OPS_PUBLIC_URL): %w", ErrConfig, err)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ApprovalOver == 0 {
		c.ApprovalOver = replay.DefaultApprovalOver
	}
	if c.ShopName == "" {
		c.ShopName = "Tillstream"
	}
	if c.Readiness == nil {
		c.Readiness = func(context.Context) []Process { return nil }
	}
	return c, nil
}
