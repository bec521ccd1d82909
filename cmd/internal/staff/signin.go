package staff

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/text"
)

// The results of attempts to sign in, as the metric names them.
const (
	resultOK      = "ok"
	resultRefused = "refused"
	resultLocked  = "locked"
)

// maxUserAgent is how many characters of a browser's User-Agent are kept.
const maxUserAgent = 200

// hashPatience is how long an attempt to sign in waits for its turn to be checked.
const hashPatience = 10 * time.Second

// Credentials are what a person sends to sign in.
type Credentials struct {
	Name      string
	Password  string
	Code      string // of the authenticator app; "" without one
	Address   string // of the client
	Via       string // for the audit, such as "console 192.0.2.7"
	UserAgent string
}

// NewSession is a session that has just begun.
type NewSession struct {
	Token   string // for the cookie of the browser; the log has only its SHA-256
	ID      string
	Expires time.Time
}

// SignIn begins a session. It returns [ErrRefused], without saying what is wrong and after about the same time, or a
// [*LockedError]. An attempt that fails is no event, because strangers must not be able to fill the log.
func (s *Service) SignIn(ctx context.Context, c Credentials) (NewSession, error) {
	session := NewSession{Token: newToken(), ID: uuid.NewString(), Expires: s.log.Now().Add(SessionLifetime).UTC().Truncate(time.Second)}
	checked, err := s.check(ctx, c, passwordAndCode)
	if err != nil {
		return NewSession{}, err
	}
	fact := events.StaffSignedIn{Name: c.Name, Session: session.ID, SHA256: sumOf(session.Token), Expires: session.Expires,
		UserAgent: shorten(c.UserAgent), Step: checked.step}
	err = s.commit(ctx, authorOf(c.Name, c.Via), func(tx *eventlog.Tx) error {
		account, err := Accounts.Load(tx, c.Name)
		if err != nil {
			return err
		}
		if !checked.stillHolds(account) {
			return ErrRefused
		}
		if err := Accounts.Append(tx, c.Name, fact); err != nil {
			return err
		}
		tx.WithAuthor(events.Author{Reason: "hashed or sealed anew at a sign-in"})
		return Accounts.Append(tx, c.Name, checked.upgrades...)
	})
	if err != nil {
		return NewSession{}, err
	}
	return session, nil
}

// addressOf returns the address in a Via, such as "console 192.0.2.7".
func addressOf(via string) string {
	_, address, _ := strings.Cut(via, " ")
	return address
}

// shorten returns the part of a User-Agent that is kept.
func shorten(userAgent string) string {
	runes := []rune(text.Printable(userAgent))
	return string(runes[:min(len(runes), maxUserAgent)])
}

// SignOut ends a session of an account. It returns nil when the session has ended already.
func (s *Service) SignOut(ctx context.Context, name, session string, author events.Author) error {
	return s.changeAccount(ctx, name, author, func(a Account, _ time.Time) ([]events.Payload, error) {
		for _, open := range a.Sessions {
			if open.ID == session {
				return one(events.StaffSignedOut{Name: name, Session: session}), nil
			}
		}
		return nil, nil
	})
}

// SignOutAll ends the sessions of an account. A session that begins meanwhile stays.
func (s *Service) SignOutAll(ctx context.Context, name string, author events.Author) error {
	account, ok := s.Directory().Account(name)
	if !ok || !account.Exists() {
		return fmt.Errorf("%w: account %s", ErrNotFound, name)
	}
	for _, session := range account.Sessions {
		if err := s.SignOut(ctx, name, session.ID, author); err != nil {
			return err
		}
	}
	return nil
}

// factors are what [Service.check] asks for.
type factors bool

const (
	passwordOnly    factors = false
	passwordAndCode factors = true
)

// checked is what right credentials were compared with.
type checked struct {
	account  Account
	step     int64            // of the code; 0 without one
	upgrades []events.Payload // that replace hashes with old parameters and texts that an old secret has sealed
}

// stillHolds reports whether nothing has changed since: neither the password nor the second factor, and the code was not used.
func (c checked) stillHolds(now Account) bool {
	return now.Status == Active && now.password == c.account.password && now.totp == c.account.totp && (c.step == 0 || c.step > now.step)
}

// check compares credentials with those of the account. For an account that does not exist it does about the same work.
func (s *Service) check(ctx context.Context, c Credentials, ask factors) (checked, error) {
	if s.sealer == nil {
		return checked{}, ErrNoSecret
	}
	account, err := s.newest(ctx, c.Name)
	if err != nil {
		return checked{}, err
	}
	try := attempt{name: c.Name, known: account.Exists(), address: c.Address, at: s.log.Now()}
	if err := s.attempts.begin(try); err != nil {
		s.refused(resultLocked, try, err)
		return checked{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, hashPatience)
	defer cancel()
	found, err := s.compare(ctx, account, c, ask)
	if err != nil {
		s.refused(resultRefused, try, err)
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return checked{}, err
		}
		return checked{}, ErrRefused
	}
	s.attempts.succeeded(try)
	s.signIns.WithLabelValues(resultOK).Inc()
	return found, nil
}

// newest returns an account as the log has it now: another process may have changed it a moment ago. For an account that does not
// exist it reads the log too, and returns the zero account.
func (s *Service) newest(ctx context.Context, name string) (Account, error) {
	if CheckName(name) != nil {
		return Account{}, nil //nolint:nilerr // no account has such a name
	}
	account, _, err := Accounts.Read(ctx, s.log, name)
	if errors.Is(err, eventlog.ErrNotFound) {
		return Account{}, nil
	}
	return account, err
}

// refused counts and logs a failed attempt. A name that is no account may be a password in the wrong field, so it is not logged.
func (s *Service) refused(result string, try attempt, cause error) {
	s.signIns.WithLabelValues(result).Inc()
	name := "(unknown)"
	if try.known {
		name = try.name
	}
	s.logger.Warn("sign-in refused", "account", name, "address", try.address, "reason", cause.Error())
}

// compare compares credentials with those of an account.
func (s *Service) compare(ctx context.Context, a Account, c Credentials, ask factors) (checked, error) {
	if a.Status != Active {
		if err := s.hasher.pretend(ctx, c.Password); err != nil {
			return checked{}, err
		}
		return checked{}, errors.New("no active account")
	}
	found := checked{account: a}
	if err := s.comparePassword(ctx, &found, c.Password); err != nil || ask == passwordOnly || !a.HasTOTP() {
		return found, err
	}
	return found, s.compareCode(&found, c.Code)
}

func (s *Service) comparePassword(ctx context.Context, found *checked, password string) error {
	name, subject := found.account.Name, events.PrefixStaff+found.account.Name
	hash, newest, err := s.sealer.open(found.account.password, subject)
	if err != nil {
		return errors.Join(err, s.hasher.pretend(ctx, password))
	}
	ok, isCurrent, err := s.hasher.verify(ctx, hash, password)
	switch {
	case err != nil:
		return fmt.Errorf("password of %s: %w", name, err)
	case !ok:
		return errors.New("wrong password")
	case newest && isCurrent:
		return nil
	}
	fact := events.StaffPasswordChanged{Name: name, Upgraded: true}
	if !isCurrent {
		if hash, err = s.hasher.hash(ctx, password); err != nil {
			return err
		}
	}
	fact.Password = s.sealer.seal(hash, subject, fact.EventType())
	found.upgrades = append(found.upgrades, fact)
	return nil
}

func (s *Service) compareCode(found *checked, code string) error {
	name, subject := found.account.Name, events.PrefixStaff+found.account.Name
	secret, newest, err := s.sealer.open(found.account.totp, subject)
	if err != nil {
		return err
	}
	if found.step = totpStep(secret, code, s.log.Now(), found.account.step); found.step == 0 {
		return errors.New("wrong code, or one that was used")
	}
	if !newest {
		fact := events.StaffTOTPSet{Name: name, Step: found.step}
		fact.Secret = s.sealer.seal(secret, subject, fact.EventType())
		found.upgrades = append(found.upgrades, fact)
	}
	return nil
}
