package main

import (
	"log/slog"
	"math"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tillstream/cmd/internal/process"
)

func TestCommandLineHasTheDocumentedDefaults(t *testing.T) {
	for _, name := range []string{"NATS_URL", "MONGODB_URI", "STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_API_BASE", "STRIPE_RATE",
		"SMTP_URL", "APPROVAL_OVER", "HOLD_FOR", "HOLD_ALWAYS", "HOLD_PERCENT", "MAX_OPEN_PER_ADDRESS", "MAX_OPEN_PER_EMAIL", "MAX_UNITS_PER_LINE", "SHORT_HOLD_FOR", "MAIL_FROM", "MAX_ORDER_LINES", "MEMORY_LIMIT", "PUBLIC_URL", "OPS_PUBLIC_URL", "SANDBOX_PUBLIC_URL", "ALLOWED_HOSTS", "AUDIT_EVERY", "SHIPPING_FEE", "SMTP_DEADLINE", "SMTP_EHLO", "STAFF_MAIL", "SWEEP_EVERY", "TOKEN_LIFETIME", "CARD_ATTEMPTS", "PAYMENTS_CAPTURE", "PAYMENTS_METHODS", "MAIL_PER_RECIPIENT", "MAX_STREAMS", "MAX_STREAMS_PER_CLIENT", "TRUSTED_PROXIES", "ALLOW_TEST_KEYS", "LOG_JSON", "LOG_LEVEL"} {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	got, err := parsed(t)
	want := Config{Data: "./data", HTTP: "127.0.0.1:8080", NATS: "127.0.0.1:4222", Ops: "127.0.0.1:8090", Mongo: "127.0.0.1:27017", Stripe: "127.0.0.1:12111", SMTP: "127.0.0.1:1025",
		CardAttempts: 10, HoldFor: 30 * time.Minute, MailLimit: 20, MailFrom: "Tillstream <orders@tillstream.example>", MaxOrderLines: 100, MemoryLimit: 600 << 20, SMTPDeadline: 30 * time.Second, SweepEvery: time.Minute, TokenLifetime: 9600 * time.Hour, LogLevel: slog.LevelWarn}
	want.Approving = process.Approving{ApprovalOver: 1000}
	want.HoldLimit = process.HoldLimit{Percent: 50, Always: 20}
	want.OrderLimits = process.OrderLimits{Units: 5000, OpenPerEmail: 5, OpenPerAddress: 50, ShortHoldFor: 10 * time.Minute}
	want.Capturing = process.Capturing{Capture: "confirmation"}
	want.Paying = process.Paying{Methods: []string{"card"}}
	want.Auditing = process.Auditing{AuditEvery: 24 * time.Hour}
	want.Streams = process.Streams{MaxStreams: 3000, MaxStreamsPerClient: 100}
	if err := want.TrustedProxies.UnmarshalText([]byte("127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7")); err != nil {
		t.Fatal(err)
	}
	networks := cmpopts.EquateComparable(netip.Prefix{})
	if diff := cmp.Diff(want, got, networks); diff != "" || err != nil {
		t.Errorf("defaults (-want +got):\n%s%v", diff, err)
	}
	got, err = parsed(t, "--data", "x", "--ready-file", "y", "--http", "a:1", "--nats", "b:2", "--mongo", "c:3", "--stripe", "d:4", "--smtp", "e:5", "--ops", "f:6", "--max-order-lines", "800", "--memory-limit", "2GiB", "--smtp-ehlo", "till.example", "--hold-for", "5s", "--expose", "--public-url", "https://till.example")
	want = Config{Approving: want.Approving, Auditing: want.Auditing, Capturing: want.Capturing, Paying: want.Paying, HoldLimit: want.HoldLimit, OrderLimits: want.OrderLimits, Proxying: want.Proxying, Streams: want.Streams, Data: "x", Expose: true, PublicURL: "https://till.example", ReadyFile: "y", HTTP: "a:1", NATS: "b:2", Mongo: "c:3", Stripe: "d:4", SMTP: "e:5", Ops: "f:6",
		CardAttempts: 10, HoldFor: 5 * time.Second, MailLimit: 20, MailFrom: want.MailFrom, MaxOrderLines: 800, MemoryLimit: 2 << 30, SMTPDeadline: 30 * time.Second, SMTPEHLO: "till.example", SweepEvery: time.Minute, TokenLifetime: 9600 * time.Hour, LogLevel: slog.LevelWarn}
	if diff := cmp.Diff(want, got, networks); diff != "" || err != nil {
		t.Errorf("flags (-want +got):\n%s%v", diff, err)
	}
	t.Setenv("STRIPE_SECRET_KEY", "sk_test_x")
	if _, err := parsed(t); err == nil || !strings.Contains(err.Error(), "STRIPE_WEBHOOK_SECRET") {
		t.Errorf("parse with one of Stripe's keys = %v, want an error that names the others", err)
	}
	if _, err := parsed(t, "--hold-for", "-1s"); err == nil {
		t.Error("parse of --hold-for -1s succeeded, want an error")
	}
}

// An order must fit into one atomic batch.
func TestOrderLineLimitAboveABatchIsRefused(t *testing.T) {
	config := testConfig(t, nil)
	config.MaxOrderLines = 801
	err := Run(t.Context(), config, slog.New(slog.DiscardHandler), &readySignal{ready: make(chan struct{})})
	if err == nil || !strings.Contains(err.Error(), "801") {
		t.Errorf("Run() with 801 lines per order = %v, want an error that names 801", err)
	}
}

func TestMemoryLimitParsesBytesWithAUnit(t *testing.T) {
	for text, want := range map[string]MemoryLimit{"0": 0, "600MiB": 600 << 20, "2GiB": 2 << 30, "1TiB": 1 << 40, "102400KiB": 100 << 20,
		"104857600B": 100 << 20, "104857600": 100 << 20, "64MiB": 64 << 20} {
		t.Setenv("MEMORY_LIMIT", text)
		if got, err := parsed(t); err != nil || got.MemoryLimit != want {
			t.Errorf("MEMORY_LIMIT=%s is %d (%v), want %d", text, got.MemoryLimit, err, want)
		}
	}
	t.Setenv("MEMORY_LIMIT", "")
	for _, text := range []string{"", "much", "600MB", "600 MiB", "1.5GiB", "-1GiB", "MiB", "600mib", "600", "63MiB", "9000000TiB", "99999999999999999999"} {
		_, err := parsed(t, "--memory-limit="+text)
		if err == nil || !strings.Contains(err.Error(), "--memory-limit") || !strings.Contains(err.Error(), "MiB") {
			t.Errorf("--memory-limit=%q: error %v, want one that names the flag and a valid value", text, err)
		}
	}
}

// parsed parses a command line.
func parsed(t *testing.T, args ...string) (config Config, err error) {
	t.Helper()
	parser, err := kong.New(&config)
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return config, err
}

func TestGOMEMLIMITTakesPrecedenceOverMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	t.Setenv("GOMAXPROCS", "unchanged")
	t.Setenv("GOGC", "unchanged")
	for _, c := range []struct {
		environment string
		limit       MemoryLimit
		want        int64
	}{{"", 0, math.MaxInt64}, {"", 700 << 20, 700 << 20}, {"1GiB", 700 << 20, math.MaxInt64}} {
		t.Setenv("GOMEMLIMIT", c.environment)
		debug.SetMemoryLimit(math.MaxInt64)
		tuneRuntime(c.limit)
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("GOMEMLIMIT=%q and a limit of %d: runtime limit = %d, want %d", c.environment, c.limit, got, c.want)
		}
	}
}

// The shop refuses settings of Stripe that do not belong together, and is not ready when strangers could order without paying.
func TestStripeSettingsOfTheShop(t *testing.T) {
	keys := func(mode string) []string {
		return []string{"--stripe-secret-key", "sk_" + mode + "_1", "--stripe-publishable-key", "pk_" + mode + "_1", "--stripe-webhook-secret", bankWebhookSecret}
	}
	for name, tc := range map[string]struct {
		arguments []string
		refused   string // in the error; "" for none
		notReady  bool
	}{
		"Sandbox":       {nil, "", false},
		"PublicSandbox": {[]string{"--public-url", "https://shop.example"}, "", false},
		"Live":          {append(keys("live"), "--public-url", "https://shop.example"), "", false},
		"TestAtHome":    {keys("test"), "", false},
		"TestInPublic":  {append(keys("test"), "--public-url", "https://shop.example"), "", true},
		"Rehearsal":     {append(keys("test"), "--public-url", "https://shop.example", "--allow-test-keys"), "", false},
		"LiveAtSandbox": {append(keys("live"), "--stripe-api-base", "http://127.0.0.1:12111"), "Unset STRIPE_API_BASE", false},
		"SandboxKeys":   {keys("test_tillstream"), "set STRIPE_API_BASE", false},
		"Malformed":     {append(keys("test"), "--stripe-webhook-secret", "whsec_..."), "STRIPE_WEBHOOK_SECRET", false},
		"NoSecret":      {keys("test")[:4], "STRIPE_WEBHOOK_SECRET not set", false},
		"Methods":       {[]string{"--payments-methods", "card,giropay"}, "PAYMENTS_METHODS", false},
		"AddressAlone":  {[]string{"--stripe-api-base", "http://127.0.0.1:12111"}, "needs STRIPE_SECRET_KEY", false},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := parsed(t, tc.arguments...)
			if tc.refused == "" && err != nil || tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)) {
				t.Fatalf("got error %v, want one with %q", err, tc.refused)
			}
			if got := config.testKeys().Problem(); err == nil && (got != nil) != tc.notReady {
				t.Errorf("readiness: got %v, want a problem: %t", got, tc.notReady)
			}
		})
	}
}
