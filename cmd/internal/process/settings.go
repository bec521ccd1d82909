package process

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/failpoint"
)

// Settings are the settings of every worker process. Each can be a flag or an environment variable.
type Settings struct {
	Auditing   `embed:""`
	Failpoints `embed:""`
	Proxying   `embed:""`
	TLS        `embed:""`

	AllowedHosts  []string      `env:"ALLOWED_HOSTS" placeholder:"NAME,..." help:"Further names at which clients reach this process, besides the host of PUBLIC_URL, IP addresses and names without a dot. Requests to other names are refused."`
	HTTP          string        `name:"http" env:"HTTP_ADDR" default:"127.0.0.1:8081" help:"Address to serve the API, health checks and metrics on; port 0 picks a free port."`
	LogJSON       bool          `env:"LOG_JSON" help:"Log JSON instead of text."`
	LogLevel      slog.Level    `env:"LOG_LEVEL" default:"INFO" help:"Lowest level to log: DEBUG, INFO, WARN or ERROR."`
	MongoDB       string        `name:"mongodb" env:"MONGODB_URI" required:"" help:"Database, such as mongodb://host:27017/tillstream."`
	NATS          string        `name:"nats" env:"NATS_URL" required:"" help:"Broker, such as nats://host:4222."`
	PublicURL     string        `name:"public-url" env:"PUBLIC_URL" default:"http://127.0.0.1:8080" help:"Address at which shoppers reach the storefront; e-mails link to it."`
	Replicas      int           `env:"STREAM_REPLICAS" default:"1" help:"Copies of each stream in the NATS cluster; use 3 in production."`
	TokenLifetime time.Duration `env:"TOKEN_LIFETIME" default:"9600h" help:"How long links to an order work, at least; 0 means for ever, with tokens that earlier releases accept too."`
	TokenSecret   string        `env:"TOKEN_SECRET" required:"" help:"Secret of order tokens, the same for all processes, 22 characters or more; several are separated by commas, of which the first makes tokens and all check them. Prefer the environment variable: other users can read flags."`
}

// Auditing has the setting that every process has which runs lanes.
type Auditing struct {
	AuditEvery time.Duration `env:"AUDIT_EVERY" default:"24h" help:"How often one process of the shop compares log and archive, event by event; 0 means never."`
}

// Approving has the setting of programs in which staff replay events. It must be the same in all of them.
type Approving struct {
	ApprovalOver int `env:"APPROVAL_OVER" default:"1000" help:"A replay of more events than this needs the approval of a second person."`
}

// Charging has the setting that must be the same in all workers that charge customers or list prices.
type Charging struct {
	ChargeLimits events.ChargeLimits `env:"CHARGE_LIMITS" placeholder:"GBP=100" help:"Smallest charge of a currency and, after a slash, its step, in minor units. Needed only where the limits of the Stripe account differ from those that Stripe publishes."`
}

// Capturing has the setting that says when the money of a payment is captured.
type Capturing struct {
	Capture string `name:"payments-capture" env:"PAYMENTS_CAPTURE" default:"confirmation" enum:"automatic,confirmation,fulfilment" help:"When money is captured: automatic (by Stripe, as soon as the shopper has paid), confirmation (by the shop, when it accepts the order) or fulfilment (when goods are sent). Payments that were requested before a change keep the earlier setting."`
}

// Paying has the setting of the payment methods, for the payments worker.
type Paying struct {
	Methods []string `name:"payments-methods" env:"PAYMENTS_METHODS" default:"card" help:"Payment methods, as Stripe names them: card, which brings Apple Pay and Google Pay with it, and any of link, paypal, sepa_debit, bacs_debit, au_becs_debit, ideal, bancontact, eps, p24, blik and twint; each is offered for orders in its currencies. Or automatic alone: what is activated in Stripe's dashboard. Debits take days, for which the stock is held."`
}

// OrderLimits are the settings of orders.Limits, for the orders worker.
type OrderLimits struct {
	Units          int64         `name:"max-units-per-line" env:"MAX_UNITS_PER_LINE" default:"5000" help:"Maximum number of units of one item in one order of a shopper; staff can order more."`
	OpenPerEmail   int           `name:"max-open-per-email" env:"MAX_OPEN_PER_EMAIL" default:"5" help:"Maximum number of unpaid orders of one e-mail address at the same time."`
	OpenPerAddress int           `name:"max-open-per-address" env:"MAX_OPEN_PER_ADDRESS" default:"50" help:"Maximum number of unpaid orders of one client address at the same time, in each process."`
	ShortHoldFor   time.Duration `name:"short-hold-for" env:"SHORT_HOLD_FOR" default:"10m" help:"How long stock is reserved for an unpaid order of a shopper who already uses half of one of these maximums."`
}

// HoldLimit has the settings of inventory.HoldLimit, for the inventory worker.
type HoldLimit struct {
	Percent int64 `name:"hold-percent" env:"HOLD_PERCENT" default:"50" help:"Maximum part of the available units of an item, in percent, that is reserved for one unpaid order of a shopper; 100: all of them."`
	Always  int64 `name:"hold-always" env:"HOLD_ALWAYS" default:"20" help:"Units of an item that are reserved for one order in spite of HOLD_PERCENT, so that the last ones can be bought."`
}

// Proxying has the setting of programs that need to know the addresses of clients.
type Proxying struct {
	TrustedProxies api.Proxies `env:"TRUSTED_PROXIES" default:"127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7" help:"Networks of the proxies whose X-Forwarded-For headers are believed. Their own addresses have no limit, because they stand for many clients."`
}

// Streams has the settings of programs that keep requests open: event streams, and requests that wait.
type Streams struct {
	MaxStreams          int `env:"MAX_STREAMS" default:"3000" help:"Maximum number of event streams, and of requests that wait for a payment, that are open at a time; beyond it shoppers' pages poll."`
	MaxStreamsPerClient int `env:"MAX_STREAMS_PER_CLIENT" default:"100" help:"Maximum number of them of one client address."`
}

// StreamLimits returns the limits of event streams.
func (s Streams) StreamLimits() api.StreamLimits {
	return api.StreamLimits{Total: s.MaxStreams, PerClient: s.MaxStreamsPerClient}
}

// Failpoints are the settings by which a test kills or stops the process at a named point; see package failpoint. The help
// does not show them, because only tests use them.
type Failpoints struct {
	Kill string `env:"FAILPOINT_KILL" hidden:"" name:"failpoint-kill" help:"Kill the process at this point: point[@place][:n]."`
	Stop string `env:"FAILPOINT_STOP" hidden:"" name:"failpoint-stop" help:"Stop the process at this point until SIGCONT."`
	File string `env:"FAILPOINT_FILE" hidden:"" name:"failpoint-file" help:"Read the point from this file whenever the process passes one."`
}

// Arm enables the configured failpoints.
func (f Failpoints) Arm(logger *slog.Logger) error {
	if f == (Failpoints{}) {
		return nil
	}
	if err := failpoint.Arm(failpoint.Config{Kill: f.Kill, Stop: f.Stop, File: f.File}); err != nil {
		return fmt.Errorf("enable failpoints: %w", err)
	}
	logger.Warn("failpoints enabled", "kill", f.Kill, "stop", f.Stop, "file", f.File)
	return nil
}

// Logger returns a logger that writes text or, for machines, JSON.
func Logger(w io.Writer, level slog.Level, asJSON bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
