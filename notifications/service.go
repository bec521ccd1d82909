package notifications

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	eventlog "tillstream/events/log"
	"tillstream/events/project"
)

// Access is what this domain needs to know about who may see an order.
type Access interface {
	// Token is what lets its holder see an order. The same order always has the same token.
	Token(orderID string) string
	// Staff reports whether an Authorization header is the staff's.
	Staff(authorization string) bool
}

// Config sets a [Service] up.
type Config struct {
	Access      Access                          // required
	Backoff     func(attempt int) time.Duration // when a mail that was put off is offered again; default Backoff
	Concurrency int                             // mails handed over at a time; default 8
	Deadline    time.Duration                   // for one mail, from dialling to the server's last word; default 30 s
	EHLO        string                          // what the shop calls itself towards the mail server; default: the host of PublicURL if it is a domain name, else the machine's name
	From        string                          // sender, such as "The Tea Shop <orders@example.com>"; required
	Location    *time.Location                  // whose dates the mails show; default UTC
	Log         *eventlog.Log                   // required
	Logger      *slog.Logger                    // default: discard
	PublicURL   string                          // of the storefront, without a path; required
	Registerer  prometheus.Registerer           // default: none
	ShopName    string                          // how the shop signs; default: the name in From, else "Tillstream"
	SMTPURL     string                          // mail server, see NewMailer; required
}

// Service is the notifications domain, ready to be run by a process.
type Service struct {
	config   Config
	from     netmail.Address
	domain   string // of Message-IDs
	log      *eventlog.Log
	logger   *slog.Logger
	mailer   *Mailer
	renderer *renderer
	metrics  *metrics

	// known is what this process has learnt of hand-overs and the log does not say (yet). It makes better guesses after a
	// hiccup, and nothing depends on it: a process that dies takes it along, and the rules for unknown outcomes apply.
	known    *lru.Cache[string, attemptState]
	accepted atomic.Uint64 // mails that the server has taken from this process
}

// knownMessages bounds Service.known. Entries are only there between two attempts of a message.
const knownMessages = 10_000

// New checks the configuration, naming the field that is wrong. Nothing is connected yet.
func New(config Config) (*Service, error) {
	config = config.withDefaults()
	if config.Access == nil || config.Log == nil {
		return nil, errors.New("notifications: Config.Access and Config.Log are required")
	}
	from, err := netmail.ParseAddress(config.From)
	if err != nil {
		return nil, fmt.Errorf("notifications: Config.From: %w", err)
	}
	public, host, err := publicURL(config.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("notifications: Config.PublicURL: %w", err)
	}
	if config.EHLO == "" && domainName.MatchString(host) {
		config.EHLO = host
	}
	if config.EHLO != "" && !ehloName.MatchString(config.EHLO) {
		return nil, fmt.Errorf("notifications: Config.EHLO: %.80q: want a domain name, or an address such as [192.0.2.1]", config.EHLO)
	}
	mailer, err := NewMailer(config.SMTPURL, config.EHLO, config.Deadline)
	if err != nil {
		return nil, fmt.Errorf("notifications: Config.SMTPURL: %w", err)
	}
	if config.ShopName == "" {
		config.ShopName = from.Name
	}
	if config.ShopName == "" {
		config.ShopName = "Tillstream"
	}
	renderer, err := newRenderer(config.ShopName, config.Location, func(orderID string) string {
		return public + "/orders/" + url.PathEscape(orderID) + "#token=" + url.QueryEscape(config.Access.Token(orderID))
	})
	if err != nil {
		return nil, fmt.Errorf("notifications: %w", err)
	}
	known, err := lru.New[string, attemptState](knownMessages)
	if err != nil {
		return nil, fmt.Errorf("notifications: %w", err)
	}
	return &Service{config: config, from: *from, domain: from.Address[strings.LastIndex(from.Address, "@")+1:],
		log: config.Log, logger: config.Logger, mailer: mailer, renderer: renderer, metrics: newMetrics(config.Registerer), known: known}, nil
}

func (c Config) withDefaults() Config {
	if c.Backoff == nil {
		c.Backoff = Backoff
	}
	if c.Concurrency == 0 {
		c.Concurrency = 8
	}
	if c.Deadline == 0 {
		c.Deadline = 30 * time.Second
	}
	if c.Location == nil {
		c.Location = time.UTC
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func publicURL(text string) (base, host string, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", "", err
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", "", fmt.Errorf("%q: want http://host or https://host", text)
	}
	return strings.TrimRight(u.String(), "/"), u.Hostname(), nil
}

var (
	// domainName is a name with a dot in it whose last part is no number: mail servers refuse a bare name such as "localhost"
	// and an IP address without brackets (RFC 5321 §4.1.1.1).
	domainName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
	// ehloName is what may be set instead: any name, or an address literal.
	ehloName = regexp.MustCompile(`^([A-Za-z0-9._-]{1,255}|\[[A-Za-z0-9.:]{1,64}\])$`)
)

// claim is how long a message that is being sent belongs to whoever said so: the longest that a hand-over can take, and
// half of it again for clocks that differ.
func (s *Service) sendTimeout() time.Duration { return s.config.Deadline * 3 / 2 }

// Projections returns none: the log itself answers what staff ask.
func (s *Service) Projections() []project.Projection { return nil }

// Run keeps the connections to the mail server for as long as ctx lasts, then says goodbye on them.
func (s *Service) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mailer.Close()
	return nil
}

// Ready returns nil: a mail server that is down, or refuses the shop, delays mails and stops nothing else. The lane
// "notifications.mail" reports it.
func (s *Service) Ready() error { return nil }
