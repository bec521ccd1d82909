package staff

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// followed are the subjects that a directory reads.
var followed = []string{events.PrefixStaff + "*", events.PrefixKey + "*", events.PrefixVoid + "*"}

// beginning is before every event.
var beginning = time.Unix(0, 0).UTC()

// errReload ends the following of the log when the directory must be read again.
var errReload = errors.New("read the directory again")

// Directory knows every account, session and API key of the shop. It needs only to read the log. It implements
// [api.StaffAccess] and is safe for concurrent use.
//
//	Load ──► as new as the log is now      for tools
//	Run ───► follows the log               for processes
type Directory struct {
	log    *eventlog.Log
	logger *slog.Logger
	usage  *usage

	mu        sync.RWMutex
	view      *view
	position  uint64 // every event up to this sequence is applied
	following bool
	moved     chan struct{} // closed and replaced when position grows
}

// NewDirectory returns a directory, which is empty until [Directory.Load] or [Directory.Run].
func NewDirectory(l *eventlog.Log) *Directory {
	return &Directory{log: l, logger: l.Logger(), usage: newUsage(l), view: newView(), moved: make(chan struct{})}
}

// Load reads the log up to its end.
func (d *Directory) Load(ctx context.Context) error {
	fresh := newView()
	upTo, err := d.log.Since(ctx, followed, beginning, func(m eventlog.Message) error {
		if voided, ok := voidsStaff(m); ok && !d.log.Voided(voided) {
			d.log.Observe(m)
			return errReload // the void event is applied already
		}
		d.report(m, fresh.apply(m))
		return nil
	})
	if errors.Is(err, errReload) {
		return d.Load(ctx)
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if upTo >= d.position { // else the directory has followed the log further
		d.view = fresh
		d.moveTo(upTo)
	}
	return nil
}

// Run follows the log until ctx ends. While the log cannot be read, the directory stays as it is.
func (d *Directory) Run(ctx context.Context) error {
	defer d.setFollowing(false)
	var recording sync.WaitGroup
	defer recording.Wait()
	recording.Go(func() { d.usage.run(ctx) })
	loaded := d.reached() > 0
	for ctx.Err() == nil {
		if !loaded {
			if err := d.Load(ctx); err != nil {
				d.logger.Warn("accounts and API keys not read", "error", err)
				worker.Sleep(ctx, time.Second)
				continue
			}
		}
		d.setFollowing(true)
		err := d.log.FollowSubjects(ctx, followed, d.reached()+1, d.follow)
		if loaded = !errors.Is(err, errReload); loaded && ctx.Err() == nil {
			d.logger.Warn("accounts and API keys not followed", "error", err)
			worker.Sleep(ctx, time.Second)
		}
	}
	return nil
}

// follow applies the next message of the log.
func (d *Directory) follow(m eventlog.Message) error {
	d.log.Observe(m)
	if _, ok := voidsStaff(m); ok {
		return errReload
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.Sequence > d.position { // else a Load has applied it
		d.report(m, d.view.apply(m))
		d.moveTo(m.Sequence)
	}
	return nil
}

// report logs that an account or key is not known from now on.
func (d *Directory) report(m eventlog.Message, err error) {
	if err != nil {
		d.logger.Error("account or API key has no access: its history cannot be read", "subject", m.Subject, "sequence", m.Sequence, "error", err)
	}
}

func (d *Directory) moveTo(position uint64) {
	d.position = max(d.position, position)
	close(d.moved)
	d.moved = make(chan struct{})
}

func (d *Directory) reached() uint64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.position
}

func (d *Directory) setFollowing(following bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.following = following
}

// awaitTimeout is how long a change waits until the directory of its own process has it.
const awaitTimeout = 2 * time.Second

// await returns when an event is applied, so that a session works before its holder knows of it. A directory that does not follow the
// log is read again. One that does is waited for, at most awaitTimeout: other processes get the event no earlier.
func (d *Directory) await(ctx context.Context, sequence uint64) {
	ctx, cancel := context.WithTimeout(ctx, awaitTimeout)
	defer cancel()
	for {
		d.mu.RLock()
		reached, following, moved := d.position >= sequence, d.following, d.moved
		d.mu.RUnlock()
		if reached {
			return
		}
		if !following {
			if err := d.Load(ctx); err != nil {
				d.logger.Warn("accounts and API keys not read after a change", "error", err)
			}
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return
		}
	}
}

// Staff implements [api.StaffAccess]: an Authorization header has an API key, or the token of a session, as a bearer token.
func (d *Directory) Staff(authorization string) (api.Principal, bool) {
	token := api.Bearer(authorization)
	if strings.HasPrefix(token, KeyPrefix) {
		return d.ofKey(token)
	}
	account, _, ok := d.Session(token)
	return account.Principal(), ok
}

// ofKey returns the program that has an API key.
func (d *Directory) ofKey(key string) (api.Principal, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	k := d.view.keys[d.view.keySums[sumOf(key)]].Value
	now := d.log.Now()
	if !k.valid(now) {
		return api.Principal{}, false
	}
	d.usage.note(k.Name, now)
	return k.Principal(), true
}

// Session returns the session that a token belongs to, and whose it is; false when the token is of no session, or the session has
// ended.
func (d *Directory) Session(token string) (Account, Session, bool) {
	if token == "" {
		return Account{}, Session{}, false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	sum := sumOf(token)
	account := d.view.accounts[d.view.sessions[sum]].Value
	session, ok := account.session(sum, d.log.Now())
	if !ok {
		return Account{}, Session{}, false
	}
	return account, session, true
}

// Link returns the account that a link is for; false when the link was used, replaced, or has expired.
func (d *Directory) Link(token string) (Account, bool) {
	if token == "" {
		return Account{}, false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	account := d.view.accounts[d.view.links[sumOf(token)]].Value
	return account, account.accepts(token, d.log.Now())
}

// Account returns the account with a name; false when there is none. Removed accounts count.
func (d *Directory) Account(name string) (Account, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	state, ok := d.view.accounts[name]
	return state.Value, ok && state.Value.Status != None
}

// Accounts returns all accounts, sorted by name, the removed ones included.
func (d *Directory) Accounts() []Account {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return valuesOf(d.view.accounts, func(a Account) string { return a.Name })
}

// Key returns the API key with a name, be it valid or not; false when there was none.
func (d *Directory) Key(name string) (Key, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	state, ok := d.view.keys[name]
	return state.Value, ok && state.Value.sum != ""
}

// Keys returns all API keys, sorted by name, the revoked ones included.
func (d *Directory) Keys() []Key {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return valuesOf(d.view.keys, func(k Key) string { return k.Name })
}

// HasAdmin reports whether an account with the role admin can sign in.
func (d *Directory) HasAdmin() bool { return slices.ContainsFunc(d.Accounts(), Account.IsAdmin) }

// valuesOf returns the states that have events, sorted by name.
func valuesOf[S any](states map[string]eventlog.State[S], name func(S) string) []S {
	all := make([]S, 0, len(states))
	for _, state := range states {
		if name(state.Value) != "" {
			all = append(all, state.Value)
		}
	}
	slices.SortFunc(all, func(a, b S) int { return cmp.Compare(name(a), name(b)) })
	return all
}
