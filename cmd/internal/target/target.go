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

// DefaultReadyFile is where cmd/shop writes its ready file unless it is told to keep its data elsewhere.
var DefaultReadyFile = filepath.Join("data", "ready.json")

// Target is the flags that say which shop a tool works on. Embed it in a kong command:
//
//	type command struct {
//		attach.Target `embed:""`
//	}
type Target struct {
	Shop string `help:"Ready file of a shop that runs in one process (default: ${ready_file}, if it is there)." env:"TILLSTREAM_SHOP" placeholder:"FILE" group:"Which shop"`

	NATS                 string `name:"nats" help:"Broker of a shop in many processes, such as nats://127.0.0.1:4222." env:"NATS_URL" placeholder:"URL" group:"Which shop"`
	MongoDB              string `name:"mongodb" help:"Database, such as mongodb://127.0.0.1:27017/tillstream." env:"MONGODB_URI" placeholder:"URI" group:"Which shop"`
	Storefront           string `help:"Origin of the storefront." env:"STOREFRONT_URL" placeholder:"URL" group:"Which shop"`
	Mail                 string `help:"Origin of the mailbox; only a shop for trying out has one." env:"MAIL_URL" placeholder:"URL" group:"Which shop"`
	Stripe               string `help:"Stripe's address (default: the real one, unless the key is a sandbox's)." env:"STRIPE_URL" placeholder:"URL" group:"Which shop"`
	StripeSecretKey      string `help:"To ask Stripe what it took." env:"STRIPE_SECRET_KEY" placeholder:"KEY" group:"Which shop"`
	StripePublishableKey string `help:"To pay as a browser does." env:"STRIPE_PUBLISHABLE_KEY" placeholder:"KEY" group:"Which shop"`
	Ops                  string `help:"Origin of the staff API." env:"OPS_URL" placeholder:"URL" group:"Which shop"`
	OpsToken             string `help:"Token of the staff API." env:"OPS_TOKEN" placeholder:"TOKEN" group:"Which shop"`
}

// Vars are the variables that the help texts of Target name: pass them to kong.
func Vars() map[string]string { return map[string]string{"ready_file": DefaultReadyFile} }

// Resolve says where the shop is. What is given by itself wins over the ready file; the default ready file is looked at
// only when nothing at all is given. It returns [ErrNoShop] or [ErrReadyFile].
func (t Target) Resolve() (Shop, error) {
	given := Shop{Storefront: t.Storefront, Mail: t.Mail, Stripe: t.Stripe, StripeSecretKey: t.StripeSecretKey,
		StripePublishableKey: t.StripePublishableKey, NATS: t.NATS, MongoDB: t.MongoDB, Ops: t.Ops, OpsToken: t.OpsToken}
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

// Log opens the log of the shop that the flags name. The caller calls close when done. Its errors are those of [Target.Resolve] and
// [Shop.Log].
func (t Target) Log(ctx context.Context) (reader *replay.Reader, close func(), err error) {
	shop, err := t.Resolve()
	if err != nil {
		return nil, nil, err
	}
	return shop.Log(ctx)
}

// ReadyFile is the file that [Target.Resolve] may read, by which a tool sees that it writes nothing over it.
func (t Target) ReadyFile() output.File {
	return output.File{Name: "the ready file", Path: cmp.Or(t.Shop, DefaultReadyFile)}
}

// readFile reads what a shop wrote when it was ready.
func readFile(path string) (Shop, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Shop{}, fmt.Errorf("%w %s: %w; a shop writes it once it is ready", ErrReadyFile, path, err)
	}
	var shop Shop
	if err := json.Unmarshal(data, &shop); err != nil {
		return Shop{}, fmt.Errorf("%w %s: %w", ErrReadyFile, path, err)
	}
	if shop.NATS == "" && shop.Ops == "" && shop.Storefront == "" {
		return Shop{}, fmt.Errorf("%w %s: it names neither nats nor ops nor storefront", ErrReadyFile, path)
	}
	shop.file = path
	return shop, nil
}

// with returns the shop with every address replaced that is given by itself.
func (s Shop) with(given Shop) Shop {
	fields := []struct {
		to   *string
		from string
	}{
		{&s.Storefront, given.Storefront}, {&s.Mail, given.Mail}, {&s.Stripe, given.Stripe}, {&s.StripeSecretKey, given.StripeSecretKey},
		{&s.StripePublishableKey, given.StripePublishableKey}, {&s.NATS, given.NATS}, {&s.MongoDB, given.MongoDB},
		{&s.Ops, given.Ops}, {&s.OpsToken, given.OpsToken},
	}
	for _, f := range fields {
		if f.from != "" {
			*f.to = f.from
		}
	}
	return s.withDefaults()
}

// Sandbox keys work at a sandbox alone; with any other key and no address, Stripe itself is meant.
const (
	sandboxKey = "sk_test_tillstream_"
	realStripe = "https://api.stripe.com"
)

func (s Shop) withDefaults() Shop {
	if s.Stripe == "" && s.StripeSecretKey != "" && !strings.HasPrefix(s.StripeSecretKey, sandboxKey) {
		s.Stripe = realStripe
	}
	for _, url := range []*string{&s.Storefront, &s.Mail, &s.Stripe, &s.Ops} {
		*url = strings.TrimRight(*url, "/")
	}
	return s
}
