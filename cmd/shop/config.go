package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tillstream/cmd/internal/process"
	"tillstream/events"
	"tillstream/orders"
	"tillstream/payments"
)

// Config is the command line of the shop. Addresses are those of the embedded servers; port 0 picks a free port.
type Config struct {
	Data      string `default:"./data" help:"Directory for all data."`
	ReadyFile string `help:"Also write the addresses of the shop to this file, as JSON, once the shop is ready. It always writes them to ready.json in the data directory."`

	NewSecrets bool `help:"Generate new secrets if secrets.json is missing beside existing data. Links to guests' orders in earlier e-mails will no longer work."`

	Closed bool `help:"Start only the broker and the database, for ops repair and ops restore."`

	AllowedHosts []string `env:"ALLOWED_HOSTS" placeholder:"NAME,..." help:"Further names of the shop, besides localhost and the host of PUBLIC_URL. Requests to other names are refused." group:"Addresses"`
	Expose       bool     `help:"Allow addresses that other machines can reach; needs PUBLIC_URL." group:"Addresses"`
	HTTP         string   `name:"http" default:"127.0.0.1:8080" help:"Address of the storefront, the API of shoppers and the mailbox; port 0 picks a free port." group:"Addresses"`
	NATS         string   `name:"nats" default:"127.0.0.1:4222" help:"Address of the embedded nats-server." group:"Addresses"`
	Mongo        string   `name:"mongo" default:"127.0.0.1:27017" help:"Address of the embedded FerretDB, which speaks MongoDB's protocol." group:"Addresses"`
	Ops          string   `name:"ops" default:"127.0.0.1:8090" help:"Address of the staff console and the staff API; port 0 picks a free port." group:"Addresses"`
	Stripe       string   `name:"stripe" default:"127.0.0.1:12111" help:"Address of the Stripe sandbox." group:"Addresses"`
	SMTP         string   `name:"smtp" default:"127.0.0.1:1025" help:"SMTP address of the mail inbox." group:"Addresses"`

	NATSURL              string  `name:"nats-url" env:"NATS_URL" help:"Broker, such as nats://user:password@host:4222." group:"Servers to use instead of the embedded ones"`
	MongoURI             string  `name:"mongodb-uri" env:"MONGODB_URI" help:"Database, such as mongodb://user:password@host:27017/tillstream." group:"Servers to use instead of the embedded ones"`
	StripeSecretKey      string  `env:"STRIPE_SECRET_KEY" help:"Secret key of Stripe; needs the other two keys." group:"Servers to use instead of the embedded ones"`
	StripePublishableKey string  `env:"STRIPE_PUBLISHABLE_KEY" help:"Publishable key of Stripe, for browsers." group:"Servers to use instead of the embedded ones"`
	StripeWebhookSecret  string  `env:"STRIPE_WEBHOOK_SECRET" help:"Secret with which Stripe signs webhooks." group:"Servers to use instead of the embedded ones"`
	StripeAPIBase        string  `name:"stripe-api-base" env:"STRIPE_API_BASE" help:"Address of a server that speaks Stripe's API, such as a sandbox that runs elsewhere; needs Stripe's keys. Default: https://api.stripe.com." group:"Servers to use instead of the embedded ones"`
	StripeRate           float64 `env:"STRIPE_RATE" help:"Maximum number of requests to Stripe per second; default: 80 with a live key, 20 with a test key, no limit with a sandbox." group:"Servers to use instead of the embedded ones"`
	SMTPURL              string  `name:"smtp-url" env:"SMTP_URL" help:"Mail server, such as smtps://user:password@host." group:"Servers to use instead of the embedded ones"`

	CardAttempts  int                 `env:"CARD_ATTEMPTS" default:"10" help:"Number of declined attempts to pay after which an order is cancelled." group:"Shop"`
	HoldFor       time.Duration       `env:"HOLD_FOR" default:"30m" help:"How long stock is reserved for an unpaid order." group:"Shop"`
	MailFrom      string              `env:"MAIL_FROM" default:"Tillstream <orders@tillstream.example>" help:"Sender of e-mails." group:"Shop"`
	MemoryLimit   MemoryLimit         `env:"MEMORY_LIMIT" default:"600MiB" help:"Soft limit of memory, such as 600MiB or 2GiB; near it the garbage collector runs more often. 0 means no limit. GOMEMLIMIT takes precedence." group:"Shop"`
	MailLimit     int                 `name:"mail-per-recipient" env:"MAIL_PER_RECIPIENT" default:"20" help:"Maximum number of e-mails to one recipient in an hour; further ones wait." group:"Shop"`
	MaxOrderLines int                 `env:"MAX_ORDER_LINES" default:"100" help:"Maximum number of different items in one order, at most 800." group:"Shop"`
	NoDemo        bool                `help:"Do not add demo items to an empty catalogue." group:"Shop"`
	OpsURL        string              `name:"ops-public-url" env:"OPS_PUBLIC_URL" help:"Address at which staff reach the console, such as https://ops.example.com; default: the ops address." group:"Shop"`
	PublicURL     string              `env:"PUBLIC_URL" help:"Address at which shoppers reach the storefront; default: the HTTP address." group:"Shop"`
	SandboxURL    string              `name:"sandbox-public-url" env:"SANDBOX_PUBLIC_URL" help:"Address at which shoppers' browsers reach the Stripe sandbox, such as https://pay.example.com; default: the host of PUBLIC_URL and the port of --stripe." group:"Shop"`
	ShippingFee   orders.ShippingFees `env:"SHIPPING_FEE" placeholder:"GBP=395,EUR=450" help:"Flat delivery charge per order in minor units, by currency; default: none." group:"Shop"`
	SMTPDeadline  time.Duration       `name:"smtp-deadline" env:"SMTP_DEADLINE" default:"30s" help:"How long sending one e-mail may take." group:"Shop"`
	SMTPEHLO      string              `name:"smtp-ehlo" env:"SMTP_EHLO" help:"Name of the shop in the EHLO command; default: the host of PUBLIC_URL if that is a domain name, else the name of the machine." group:"Shop"`
	StaffMail     []string            `env:"STAFF_MAIL" placeholder:"ADDRESS,..." help:"E-mail addresses of the staff to whom disputes are reported; default: nobody is mailed." group:"Shop"`
	SweepEvery    time.Duration       `env:"SWEEP_EVERY" default:"1m" help:"How often to look for overdue orders and missed webhooks." group:"Shop"`
	TokenLifetime time.Duration       `env:"TOKEN_LIFETIME" default:"9600h" help:"How long links to an order work, at least; 0 means for ever." group:"Shop"`

	process.Approving  `embed:"" group:"Shop"`
	process.Auditing   `embed:"" group:"Shop"`
	process.Capturing  `embed:"" group:"Shop"`
	process.Charging   `embed:"" group:"Shop"`
	process.Paying     `embed:"" group:"Shop"`
	HoldLimit          process.HoldLimit   `embed:"" group:"Shop"`
	OrderLimits        process.OrderLimits `embed:"" group:"Shop"`
	process.Proxying   `embed:"" group:"Shop"`
	process.Rehearsing `embed:"" group:"Shop"`
	process.Streams    `embed:"" group:"Shop"`
	process.Failpoints `embed:""`

	LogJSON  bool       `env:"LOG_JSON" help:"Log JSON instead of text." group:"Logging"`
	LogLevel slog.Level `env:"LOG_LEVEL" default:"WARN" help:"Lowest level to log: DEBUG, INFO, WARN or ERROR." group:"Logging"`
	Pprof    bool       `name:"pprof" help:"Serve runtime profiles at /debug/pprof/ on the HTTP address."`
}

// Validate refuses combinations that would fail later. Kong calls it after parsing.
func (c *Config) Validate() error {
	var missing []string
	for _, s := range []struct{ name, value string }{{"STRIPE_SECRET_KEY", c.StripeSecretKey}, {"STRIPE_PUBLISHABLE_KEY", c.StripePublishableKey}, {"STRIPE_WEBHOOK_SECRET", c.StripeWebhookSecret}} {
		if s.value == "" {
			missing = append(missing, s.name)
		}
	}
	if n := len(missing); n == 1 || n == 2 {
		return fmt.Errorf("%s not set: set all of STRIPE_SECRET_KEY, STRIPE_PUBLISHABLE_KEY and STRIPE_WEBHOOK_SECRET to use Stripe, or none of them to use the sandbox", strings.Join(missing, " and "))
	}
	if c.HoldFor <= 0 || c.SweepEvery <= 0 {
		return fmt.Errorf("--hold-for and --sweep-every must be greater than 0")
	}
	if c.CardAttempts < 1 || c.MailLimit < 1 {
		return fmt.Errorf("--card-attempts and --mail-per-recipient must be greater than 0")
	}
	if c.sandboxed() && c.StripeAPIBase != "" {
		return fmt.Errorf("STRIPE_API_BASE needs STRIPE_SECRET_KEY, STRIPE_PUBLISHABLE_KEY and STRIPE_WEBHOOK_SECRET; unset it to use the embedded sandbox")
	}
	return errors.Join(c.checkStripe(), c.checkMethods(), c.checkPublicURLs(), c.checkExposure())
}

// checkStripe refuses keys of Stripe that do not belong together. The keys of the embedded sandbox are checked when it has read them.
func (c *Config) checkStripe() error {
	if c.sandboxed() {
		return nil
	}
	return payments.Config{SecretKey: c.StripeSecretKey, PublishableKey: c.StripePublishableKey, WebhookSecret: c.StripeWebhookSecret,
		StripeAPIBase: c.StripeAPIBase, StripeRate: c.StripeRate}.CheckStripe()
}

// checkMethods refuses unknown payment methods before anything is started.
func (c *Config) checkMethods() error {
	if len(c.Methods) == 0 {
		return nil // cards
	}
	if err := events.CheckMethods(c.Methods); err != nil {
		return fmt.Errorf("--payments-methods (PAYMENTS_METHODS): %w", err)
	}
	return nil
}

// testKeys is the check for test keys of Stripe. A trial with the embedded sandbox is ready: its pay page says that nobody pays.
func (c *Config) testKeys() process.Check {
	return c.TestKeys(c.PublicURL, c.sandboxed() || strings.Contains(c.StripeSecretKey, "_live_"))
}

// MemoryLimit is a soft limit of the process's memory in bytes; 0 means none.
type MemoryLimit int64

// minMemory is the smallest useful limit. With a limit below the memory in use, the garbage collector would run all the time.
const minMemory = 64 << 20

// memoryUnits are the units of GOMEMLIMIT. B comes last because the others end with it.
var memoryUnits = []struct {
	suffix string
	shift  int
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}, {"", 0}}

// UnmarshalText parses a number of bytes with a unit, such as 600MiB.
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
	case n > 0 && n<<shift < minMemory:
		return fmt.Errorf("%q: want %dMiB or more, or 0", text, minMemory>>20)
	}
	*l = MemoryLimit(n << shift)
	return nil
}

func (c *Config) dir(name string) string { return filepath.Join(c.Data, name) }

// sandboxed reports whether the embedded sandbox takes the payments.
func (c *Config) sandboxed() bool { return c.StripeSecretKey == "" }
