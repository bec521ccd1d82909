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

	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/project"
)

// Access makes and checks the tokens of requests.
type Access interface {
	// Token returns the access token of an order, always the same for the same order.
	Token(orderID string) string
	api.StaffAccess
}

// Config is the configuration of a [Service].
type Config struct {
	Access       Access                          // required
	Backoff      func(attempt int) time.Duration // delay after an attempt that was deferred; default Backoff
	Concurrency  int                             // mails sent at a time; default 8
	Deadline     time.Duration                   // of one mail, from the connection to the server's last reply; default 30 s
	EHLO         string                          // name of the shop in EHLO; default: the host of PublicURL if it is a domain name, else the machine's name
	From         string                          // sender, such as "The Tea Shop <orders@example.com>"; required
	Location     *time.Location                  // time zone of dates in mails; default UTC
	Log          *eventlog.Log                   // the handle of the domain notifications; required
	Logger       *slog.Logger                    // default: discard
	PerRecipient int                             // mails to one recipient in an hour; default 20
	PublicURL    string                          // of the storefront, without a path; required
	Registerer   prometheus.Registerer           // default: none
	ShopName     string                          // signature of the mails; default: the name in From, else "Tillstream"
	StaffMail    []string                        // addresses of the staff to whom disputes are reported; default: none is mailed
	StaffURL     string                          // of the console, without a path; required with StaffMail
	SMTPURL      string                          // mail server, see NewMailer; required
}

// Service is the notifications domain: its API and its part in a worker, over one log.
type Service struct {
	config   Config
	from     netmail.Address
	staff    []netmail.Address
	domain   string // of Message-IDs
	public   string // origin of the storefront
	log      *eventlog.Log
	logger   *slog.Logger
	mailer   *Mailer
	renderer *renderer
	metrics  *metrics
	limiter  *limiter

	// attempts has, by message id, what this process knows about attempts and the log does not contain. It keeps results from
	// becoming unknown after a fault. If it is lost, the rules for unknown deliveries apply.
	attempts *lru.Cache[string, attemptState]
	accepted atomic.Uint64 // mails of this process that the server has accepted
}

// maxAttemptStates bounds Service.attempts, which has an entry only for a message between two attempts.
const maxAttemptStates = 10_000

// New returns the domain, or an error that names the field of the configuration that is wrong. It does not connect.
func New(config Config) (*Service, error) {
	config = config.withDefaults()
	if config.Access == nil || config.Log == nil {
		return nil, errors.New("notifications: Config.Access and Config.Log are required")
	}
	if config.PerRecipient < 0 {
		return nil, errors.New("notifications: Config.PerRecipient must not be negative")
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
	staff, err := parseStaff(config.StaffMail)
	if err != nil {
		return nil, fmt.Errorf("notifications: Config.StaffMail (STAFF_MAIL): %w", err)
	}
	console, err := consoleURL(config.StaffURL, staff)
	if err != nil {
		return nil, fmt.Errorf("notifications: Config.StaffURL: %w", err)
	}
	if len(staff) == 0 {
		config.Logger.Info("nobody is mailed about disputes", "setting", "STAFF_MAIL")
	}
	renderer, err := newRenderer(config.ShopName, config.Location, func(orderID string) string {
		return public + "/orders/" + url.PathEscape(orderID) + "#token=" + url.QueryEscape(config.Access.Token(orderID))
	}, func(orderID string) string { return console + "/ops/orders/" + url.PathEscape(orderID) })
	if err != nil {
		return nil, fmt.Errorf("notifications: %w", err)
	}
	attempts, err := lru.New[string, attemptState](maxAttemptStates)
	if err != nil {
		return nil, fmt.Errorf("notifications: %w", err)
	}
	return &Service{config: config, from: *from, staff: staff, public: public, domain: from.Address[strings.LastIndex(from.Address, "@")+1:],
		log: config.Log, logger: config.Logger, mailer: mailer, renderer: renderer, metrics: newMetrics(config.Registerer), limiter: newLimiter(config.PerRecipient), attempts: attempts}, nil
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
	if c.PerRecipient == 0 {
		c.PerRecipient = 20
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
	u, err := api.ParsePublicURL(text)
	if err != nil {
		return "", "", err
	}
	return strings.TrimRight(u.String(), "/"), u.Hostname(), nil
}

var (
	// domainName matches a name with a dot whose last label is not a number. Mail servers refuse a bare name such as "localhost"
	// and an IP address without brackets (RFC 5321 §4.1.1.1).
	domainName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
	// ehloName matches a name that can be configured: any name, or an address literal.
	ehloName = regexp.MustCompile(`^([A-Za-z0-9._-]{1,255}|\[[A-Za-z0-9.:]{1,64}\])$`)
)

// sendTimeout returns how long a process owns a message after it has started to send it: the longest duration of an attempt, plus
// half of that because clocks differ.
func (s *Service) sendTimeout() time.Duration { return s.config.Deadline * 3 / 2 }

// Projections returns none, because the API reads the log.
func (s *Service) Projections() []project.Projection { return nil }

// Run keeps the connections to the mail server until ctx ends, and then closes them.
func (s *Service) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mailer.Close()
	return nil
}

// Ready returns nil. A mail server that is down or refuses the shop only delays mails; the lane "notifications.mail" reports it.
func (s *Service) Ready() error { return nil }
