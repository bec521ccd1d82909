package main

import (
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tillstream/cmd/internal/process"
	"tillstream/orders"
)

// Config is the command line of the shop. Addresses are of the embedded servers; port 0 takes any free one.
type Config struct {
	Data      string `default:"./data" help:"Directory for everything that must last."`
	ReadyFile string `help:"Write where everything is to this file, as JSON, once the shop is ready. It always stands in DATA/ready.json too."`

	Closed bool `help:"Start the broker and the database and nothing else, for ops repair and ops restore."`

	HTTP   string `name:"http" default:"127.0.0.1:8080" help:"Storefront, API and mailbox." group:"Addresses"`
	NATS   string `name:"nats" default:"127.0.0.1:4222" help:"Embedded nats-server." group:"Addresses"`
	Mongo  string `name:"mongo" default:"127.0.0.1:27017" help:"Embedded FerretDB, which speaks MongoDB's protocol." group:"Addresses"`
	Stripe string `name:"stripe" default:"127.0.0.1:12111" help:"Stripe sandbox." group:"Addresses"`
	SMTP   string `name:"smtp" default:"127.0.0.1:1025" help:"Mail inbox." group:"Addresses"`

	NATSURL              string `name:"nats-url" env:"NATS_URL" help:"Use this broker." group:"Instead of what is embedded"`
	MongoURI             string `name:"mongodb-uri" env:"MONGODB_URI" help:"Use this database." group:"Instead of what is embedded"`
	StripeSecretKey      string `env:"STRIPE_SECRET_KEY" help:"Use Stripe with this key; needs the next two." group:"Instead of what is embedded"`
	StripePublishableKey string `env:"STRIPE_PUBLISHABLE_KEY" help:"Stripe's key for browsers." group:"Instead of what is embedded"`
	StripeWebhookSecret  string `env:"STRIPE_WEBHOOK_SECRET" help:"Secret that Stripe signs webhooks with." group:"Instead of what is embedded"`
	StripeURL            string `name:"stripe-url" env:"STRIPE_URL" hidden:"" help:"Where Stripe is, for a sandbox that runs elsewhere. Counts with STRIPE_SECRET_KEY alone." group:"Instead of what is embedded"`
	SMTPURL              string `name:"smtp-url" env:"SMTP_URL" help:"Use this mail server, such as smtps://user:password@host." group:"Instead of what is embedded"`

	HoldFor       time.Duration       `env:"HOLD_FOR" default:"30m" help:"How long stock waits for the money." group:"Shop"`
	MailFrom      string              `env:"MAIL_FROM" default:"Tillstream <orders@tillstream.example>" help:"Sender of the mails." group:"Shop"`
	MemoryLimit   MemoryLimit         `env:"MEMORY_LIMIT" default:"600MiB" help:"Memory from which on unused memory is given back more eagerly, such as 600MiB or 2GiB; 0: none. GOMEMLIMIT counts instead where it is set." group:"Shop"`
	MaxOrderLines int                 `env:"MAX_ORDER_LINES" default:"100" help:"Different items in one order, at most 800." group:"Shop"`
	NoDemo        bool                `help:"Do not fill an empty catalogue with the demo items." group:"Shop"`
	PublicURL     string              `env:"PUBLIC_URL" help:"Where shoppers reach the storefront; default: the HTTP address." group:"Shop"`
	ShippingFee   orders.ShippingFees `env:"SHIPPING_FEE" placeholder:"GBP=395,EUR=450" help:"Flat fee per order in minor units, by currency; default: none." group:"Shop"`
	SMTPDeadline  time.Duration       `name:"smtp-deadline" env:"SMTP_DEADLINE" default:"30s" help:"Longest that handing over one mail may take." group:"Shop"`
	SMTPEHLO      string              `name:"smtp-ehlo" env:"SMTP_EHLO" help:"What the shop calls itself towards the mail server (EHLO); default: the host of PUBLIC_URL if it is a domain name, else the machine's name." group:"Shop"`
	SweepEvery    time.Duration       `env:"SWEEP_EVERY" default:"1m" help:"How often overdue orders and missed webhooks are looked for." group:"Shop"`

	process.Charging   `embed:"" group:"Shop"`
	process.Failpoints `embed:""`

	LogJSON  bool       `env:"LOG_JSON" help:"Log as JSON." group:"Logging"`
	LogLevel slog.Level `env:"LOG_LEVEL" default:"WARN" help:"DEBUG, INFO, WARN or ERROR." group:"Logging"`
	Pprof    bool       `name:"pprof" help:"Serve runtime profiles at /debug/pprof/ on the HTTP address."`
}

// Validate refuses combinations that would only fail later. Kong calls it after parsing.
func (c *Config) Validate() error {
	given := 0
	for _, s := range []string{c.StripeSecretKey, c.StripePublishableKey, c.StripeWebhookSecret} {
		if s != "" {
			given++
		}
	}
	if given != 0 && given != 3 {
		return fmt.Errorf("to use Stripe set all of STRIPE_SECRET_KEY, STRIPE_PUBLISHABLE_KEY and STRIPE_WEBHOOK_SECRET; to use the sandbox set none")
	}
	if c.HoldFor <= 0 || c.SweepEvery <= 0 {
		return fmt.Errorf("--hold-for and --sweep-every must be longer than nothing")
	}
	return nil
}

// MemoryLimit is a soft limit of the process's memory in bytes; 0: none.
type MemoryLimit int64

// leastMemory is the smallest limit that leaves the shop room to work. A limit below what is in use has the garbage
// collector run all the time.
const leastMemory = 64 << 20

// memoryUnits are those of GOMEMLIMIT. B stands last because the others end with it.
var memoryUnits = []struct {
	suffix string
	shift  int
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}, {"", 0}}

// UnmarshalText reads a number of bytes with its unit, such as 600MiB.
func (l *MemoryLimit) UnmarshalText(text []byte) error {
	number, shift := string(text), 0
	for _, u := range memoryUnits {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, shift = rest, u.shift
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil || n < 0 || n > int64(math.MaxInt64)>>shift:
		return fmt.Errorf("%q: want bytes with a unit, such as 600MiB or 2GiB, or 0", text)
	case n > 0 && n<<shift < leastMemory:
		return fmt.Errorf("%q: want %dMiB or more, or 0", text, leastMemory>>20)
	}
	*l = MemoryLimit(n << shift)
	return nil
}

func (c *Config) dir(name string) string { return filepath.Join(c.Data, name) }

// sandboxed reports whether money is play money of the embedded sandbox.
func (c *Config) sandboxed() bool { return c.StripeSecretKey == "" }
