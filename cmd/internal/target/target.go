package target

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tillstream/cmd/internal/output"
	"tillstream/events/replay"
)

// DefaultReadyFile is the ready file of cmd/shop with the default data directory.
var DefaultReadyFile = filepath.Join("data", "ready.json")

// Target has the flags that select the shop of a tool. Embed it in a kong command:
//
//	type command struct {
//		target.Target `embed:""`
//	}
type Target struct {
	Shop string `help:"Ready file of a shop in one process (default: ${ready_file}, if it exists)." env:"TILLSTREAM_SHOP" predictor:"file" placeholder:"FILE" group:"Which shop"`

	NATS                 string `name:"nats" help:"Broker of a shop in several processes, such as nats://127.0.0.1:4222." env:"NATS_URL" placeholder:"URL" group:"Which shop"`
	MongoDB              string `name:"mongodb" help:"Database, such as mongodb://127.0.0.1:27017/tillstream." env:"MONGODB_URI" placeholder:"URI" group:"Which shop"`
	Storefront           string `help:"Origin of the storefront." env:"STOREFRONT_URL" placeholder:"URL" group:"Which shop"`
	Mail                 string `help:"Origin of the mailbox; only a trial shop has one." env:"MAIL_URL" placeholder:"URL" group:"Which shop"`
	Stripe               string `help:"Address of the Stripe API (default: https://api.stripe.com, unless the key belongs to a sandbox)." env:"STRIPE_API_BASE" placeholder:"URL" group:"Which shop"`
	StripeSecretKey      string `help:"Key with which to read payments from Stripe." env:"STRIPE_SECRET_KEY" placeholder:"KEY" group:"Which shop"`
	StripePublishableKey string `help:"Key with which to pay as a browser does." env:"STRIPE_PUBLISHABLE_KEY" placeholder:"KEY" group:"Which shop"`
	Ops                  string `help:"Origin of the staff API." env:"OPS_URL" placeholder:"URL" group:"Which shop"`
	OpsKey               string `help:"API key for the staff API, and for changes to the log. Prefer the environment variable: other users can read flags." env:"OPS_KEY" placeholder:"KEY" group:"Which shop"`
}

// Vars returns the variables in the help texts of Target, for kong.
func Vars() map[string]string { return map[string]string{"ready_file": DefaultReadyFile} }

// Resolve returns the addresses of the shop. Single addresses override those of the ready file. The default ready file is read
// only when neither a file nor an address of the broker, the staff API or the storefront is given. Resolve returns [ErrNoShop]
// or [ErrReadyFile].
func (t Target) Resolve() (Shop, error) {
	given := Shop{Storefront: t.Storefront, Mail: t.Mail, Stripe: t.Stripe, StripeSecretKey: t.StripeSecretKey,
		StripePublishableKey: t.StripePublishableKey, NATS: t.NATS, MongoDB: t.MongoDB, Ops: t.Ops, OpsKey: t.OpsKey}
	if t.Shop != "" {
		shop, err := readFile(t.Shop)
		return shop.with(given), err
	}
	if given.NATS != "" || given.Ops != "" || given.Storefront != "" {
		return given.withDefaults(), nil
	}
	shop, err := readFile(DefaultReadyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Shop{}, ErrNoShop
	}
	return shop.with(given), err
}

// Log opens the log of the selected shop. The caller calls closeLog when done. Its errors are those of [Target.Resolve] and
// [Shop.Log].
func (t Target) Log(ctx context.Context) (reader *replay.Reader, closeLog func(), err error) {
	shop, err := t.Resolve()
	if err != nil {
		return nil, nil, err
	}
	return shop.Log(ctx)
}

// ReadyFile returns the file that [Target.Resolve] may read, so that a tool can refuse to overwrite it.
func (t Target) ReadyFile() output.File {
	return output.File{Name: "the ready file", Path: cmp.Or(t.Shop, DefaultReadyFile)}
}

// readFile reads a ready file.
func readFile(path string) (Shop, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Shop{}, fmt.Errorf("%w %s: %w; a shop writes it when it is ready", ErrReadyFile, path, err)
	}
	var shop Shop
	if err := json.Unmarshal(data, &shop); err != nil {
		return Shop{}, fmt.Errorf("%w %s: %w", ErrReadyFile, path, err)
	}
	if shop.NATS == "" && shop.Ops == "" && shop.Storefront == "" {
		return Shop{}, fmt.Errorf("%w %s: it has neither nats nor ops nor storefront", ErrReadyFile, path)
	}
	shop.file = path
	return shop, nil
}

// with returns the shop with the given values in place of its own.
func (s Shop) with(given Shop) Shop {
	fields := []struct {
		to   *string
		from string
	}{
		{&s.Storefront, given.Storefront}, {&s.Mail, given.Mail}, {&s.Stripe, given.Stripe}, {&s.StripeSecretKey, given.StripeSecretKey},
		{&s.StripePublishableKey, given.StripePublishableKey}, {&s.NATS, given.NATS}, {&s.MongoDB, given.MongoDB},
		{&s.Ops, given.Ops}, {&s.OpsKey, given.OpsKey},
	}
	for _, f := range fields {
		if f.from != "" {
			*f.to = f.from
		}
	}
	return s.withDefaults()
}

// A key with the sandbox prefix works only with a sandbox. With any other key, the default address is that of Stripe.
const (
	sandboxPrefix = "sk_test_tillstream_"
	stripeAPI     = "https://api.stripe.com"
)

func (s Shop) withDefaults() Shop {
	if s.Stripe == "" && s.StripeSecretKey != "" && !strings.HasPrefix(s.StripeSecretKey, sandboxPrefix) {
		s.Stripe = stripeAPI
	}
	for _, url := range []*string{&s.Storefront, &s.Mail, &s.Stripe, &s.Ops} {
		*url = strings.TrimRight(*url, "/")
	}
	return s
}
