package staff

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
)

// Status is where an account is between its first event and its last.
type Status string

// The statuses of an account.
const (
	None    Status = ""        // it has never existed
	Invited Status = "invited" // it has no password yet
	Active  Status = "active"
	Removed Status = "removed"
)

// transitions lists the statuses that each event can follow.
var transitions = map[string][]Status{
	events.StaffAdded{}.EventType():           {None, Removed},
	events.StaffLinkMade{}.EventType():        {Invited, Active},
	events.StaffJoined{}.EventType():          {Invited, Active},
	events.StaffPasswordChanged{}.EventType(): {Active},
	events.StaffTOTPSet{}.EventType():         {Active},
	events.StaffTOTPRemoved{}.EventType():     {Active},
	events.StaffRoleChanged{}.EventType():     {Invited, Active},
	events.StaffRemoved{}.EventType():         {Invited, Active},
	events.StaffSignedIn{}.EventType():        {Active},
	events.StaffSignedOut{}.EventType():       {Active},
}

// maxSessions is how many sessions an account has at most. A further one ends the oldest.
const maxSessions = 20

// Session is a time in which a member of staff is signed in.
type Session struct {
	ID        string
	SHA256    string // of its token
	Began     time.Time
	Expires   time.Time
	Via       string // from where it began, such as "console 192.0.2.7"
	UserAgent string
}

// sealedText is a text that only the holders of the shop's secret can read, with the type of the event that has it.
type sealedText struct{ text, eventType string }

// Account is the account of a member of staff.
type Account struct {
	Name        string
	DisplayName string
	Role        api.Role
	Status      Status
	Added       time.Time
	LinkExpires time.Time // zero: there is no link
	SignedIn    time.Time // when the last session began; zero: never
	Sessions    []Session // those that have not ended; they may have expired

	link     string // SHA-256 of the token of the link
	password sealedText
	totp     sealedText
	step     int64 // of the last code that was used
}

// Accounts are the accounts, by name.
var Accounts = eventlog.Entity[Account]{Prefix: events.PrefixStaff, Apply: Account.Apply}

// Exists reports whether there is an account: it was added, and not removed since.
func (a Account) Exists() bool { return a.Status == Invited || a.Status == Active }

// IsAdmin reports whether the account can sign in as admin.
func (a Account) IsAdmin() bool { return a.Status == Active && a.Role == api.Admin }

// HasTOTP reports whether the account needs a code to sign in.
func (a Account) HasTOTP() bool { return a.totp.text != "" }

// Display returns the display name, or the name.
func (a Account) Display() string {
	if a.DisplayName != "" {
		return a.DisplayName
	}
	return a.Name
}

// Apply returns the account after one of its events, or [ErrCannotFollow].
func (a Account) Apply(e events.Event) (Account, error) {
	if !slices.Contains(transitions[e.Type], a.Status) {
		return a, fmt.Errorf("%w: %s of an account with status %q", ErrCannotFollow, e.Type, a.Status)
	}
	switch p := e.Payload.(type) {
	case events.StaffAdded:
		return Account{Name: p.Name, DisplayName: p.DisplayName, Role: api.Role(p.Role), Status: Invited, Added: e.Time}.withLink(p.Link), nil
	case events.StaffLinkMade:
		return a.withLink(p.Link), nil
	case events.StaffJoined:
		a.password, a.Status, a.Sessions = sealedText{p.Password, e.Type}, Active, nil
		return a.withLink(events.StaffLink{}), nil
	case events.StaffPasswordChanged:
		a.password = sealedText{p.Password, e.Type}
		if !p.Upgraded {
			a = a.keepSessions(func(s Session) bool { return s.ID == p.Session })
		}
	case events.StaffTOTPSet:
		a.totp, a.step = sealedText{p.Secret, e.Type}, p.Step
	case events.StaffTOTPRemoved:
		a.totp, a.step = sealedText{}, 0
	case events.StaffRoleChanged:
		a.Role = api.Role(p.Role)
	case events.StaffRemoved:
		return Account{Name: a.Name, DisplayName: a.DisplayName, Role: a.Role, Status: Removed, Added: a.Added, SignedIn: a.SignedIn}, nil
	case events.StaffSignedIn:
		return a.withSession(e, p), nil
	case events.StaffSignedOut:
		return a.keepSessions(func(s Session) bool { return s.ID != p.Session }), nil
	}
	return a, nil
}

func (a Account) withLink(link events.StaffLink) Account {
	a.link, a.LinkExpires = link.SHA256, link.Expires
	return a
}

// withSession adds a session and drops those that had expired.
func (a Account) withSession(e events.Event, p events.StaffSignedIn) Account {
	a = a.keepSessions(func(s Session) bool { return s.Expires.After(e.Time) })
	a.Sessions = append(a.Sessions, Session{ID: p.Session, SHA256: p.SHA256, Began: e.Time, Expires: p.Expires, Via: e.Via, UserAgent: p.UserAgent})
	a.Sessions = a.Sessions[max(0, len(a.Sessions)-maxSessions):]
	a.SignedIn, a.step = e.Time, max(a.step, p.Step)
	return a
}

// keepSessions drops the sessions that do not satisfy a condition. It copies, because states are shared.
func (a Account) keepSessions(keep func(Session) bool) Account {
	a.Sessions = slices.DeleteFunc(slices.Clone(a.Sessions), func(s Session) bool { return !keep(s) })
	return a
}

// session returns the session of a token that is valid at a time.
func (a Account) session(sum string, now time.Time) (Session, bool) {
	i := slices.IndexFunc(a.Sessions, func(s Session) bool { return s.SHA256 == sum && now.Before(s.Expires) })
	if i < 0 || a.Status != Active {
		return Session{}, false
	}
	return a.Sessions[i], true
}

// Principal returns the member of staff as the sender of a request.
func (a Account) Principal() api.Principal {
	return api.Principal{Actor: events.ActorStaff + a.Name, Permissions: a.Role.Permissions()}
}

// namePattern matches the names of accounts and keys: one token of a subject, which people can say and type.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// CheckName returns [ErrBadName] for a name that an account or a key cannot have.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("%w: %.60q: want 1 to 40 of lower-case letters, digits and -, and a letter or digit first", ErrBadName, name)
	}
	return nil
}

// CheckRole returns an error for a role that is none of [api.Roles].
func CheckRole(role api.Role) error {
	if slices.Contains(api.Roles, role) {
		return nil
	}
	names := make([]string, len(api.Roles))
	for i, r := range api.Roles {
		names[i] = string(r)
	}
	return fmt.Errorf("role %.40q: want %s", role, strings.Join(names, ", "))
}
