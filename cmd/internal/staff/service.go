package staff

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/text"
)

// LinkLifetime is how long a link to set a password works.
const LinkLifetime = 7 * 24 * time.Hour

// SessionLifetime is how long a session lasts.
const SessionLifetime = 12 * time.Hour

// Config is the configuration of a [Service].
type Config struct {
	Directory  *Directory            // of the same process; required
	Log        *eventlog.Log         // the handle of the domain ops; required
	Registerer prometheus.Registerer // default: none
	Secrets    string                // the TOKEN_SECRET of the shop; without it nobody can set a password or sign in
}

// Service decides about accounts and API keys. It is safe for concurrent use.
type Service struct {
	directory *Directory
	log       *eventlog.Log
	logger    *slog.Logger
	attempts  *attempts
	hasher    *hasher
	sealer    *sealer // nil: the secret is not known
	signIns   *prometheus.CounterVec
}

// New returns a service, or an error that names the field of the configuration that is missing.
func New(config Config) (*Service, error) {
	switch {
	case config.Directory == nil:
		return nil, errors.New("staff: Config.Directory is required")
	case config.Log == nil:
		return nil, errors.New("staff: Config.Log is required")
	}
	s := &Service{directory: config.Directory, log: config.Log, logger: config.Log.Logger(), attempts: newAttempts(), hasher: newHasher(),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tillstream_staff_sign_ins_total",
			Help: "Attempts of staff to sign in to the console, by result."}, []string{"result"})}
	for _, result := range []string{resultOK, resultRefused, resultLocked} {
		s.signIns.WithLabelValues(result)
	}
	if config.Registerer != nil {
		config.Registerer.MustRegister(s.signIns)
	}
	if config.Secrets != "" {
		var err error
		if s.sealer, err = newSealer(config.Secrets); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Directory returns the directory of the service.
func (s *Service) Directory() *Directory { return s.directory }

// commit runs one decision, and returns when the directory of this process has its events.
func (s *Service) commit(ctx context.Context, author events.Author, decide func(tx *eventlog.Tx) error) error {
	var last *eventlog.Tx
	err := s.log.Do(ctx, func(tx *eventlog.Tx) error {
		last = tx
		tx.WithAuthor(author)
		return decide(tx)
	})
	if err == nil && last.Len() > 0 {
		s.directory.await(ctx, last.Sequence(last.Len()-1))
	}
	return err
}

// changeAccount decides about one account, and with it about who is admin.
func (s *Service) changeAccount(ctx context.Context, name string, author events.Author, decide func(Account, time.Time) ([]events.Payload, error)) error {
	if err := CheckName(name); err != nil {
		return err
	}
	return s.commit(ctx, author, func(tx *eventlog.Tx) error {
		before, err := Accounts.Load(tx, name)
		if err != nil {
			return err
		}
		facts, err := decide(before, tx.Now())
		if err != nil {
			return err
		}
		if err := Accounts.Append(tx, name, facts...); err != nil {
			return err
		}
		after, err := Accounts.Load(tx, name)
		if err != nil {
			return err
		}
		return changeAdmins(tx, before, after)
	})
}

// checkGrant returns [ErrNotYours] when an API key gives permissions that it does not have. Otherwise the permission to manage staff
// would be every permission: the key could make another key, or an account. A member of staff who manages staff has all of them.
func (s *Service) checkGrant(author events.Author, permissions []api.Permission) error {
	name, isKey := strings.CutPrefix(author.Actor, events.ActorKey)
	if !isKey {
		return nil
	}
	giver, _ := s.directory.Key(name)
	for _, permission := range permissions {
		if !giver.Principal().May(permission) {
			return fmt.Errorf("%w: API key %s does not have the permission %s", ErrNotYours, name, permission)
		}
	}
	return nil
}

// CheckReason returns an author whose reason is cleaned, or [ErrNoReason]. Every change about staff and keys needs a reason.
func CheckReason(author events.Author) (events.Author, error) {
	reason, err := text.Clean(author.Reason)
	switch {
	case err != nil:
		return author, fmt.Errorf("reason: %w", err)
	case reason == "":
		return author, fmt.Errorf("%w: say why; it is kept in the audit", ErrNoReason)
	case len(reason) > events.MaxReason:
		return author, fmt.Errorf("reason: %d bytes, want at most %d", len(reason), events.MaxReason)
	}
	author.Reason = reason
	return author, nil
}
