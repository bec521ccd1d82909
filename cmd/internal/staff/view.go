package staff

import (
	"strings"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// view is the state of all accounts and keys, with indexes by the SHA-256 of their credentials.
type view struct {
	accounts map[string]eventlog.State[Account] // by name
	keys     map[string]eventlog.State[Key]     // by name
	sessions map[string]string                  // SHA-256 of a session's token → name of the account
	links    map[string]string                  // SHA-256 of a link's token → name of the account
	keySums  map[string]string                  // SHA-256 of a key → its name
}

func newView() *view {
	return &view{accounts: map[string]eventlog.State[Account]{}, keys: map[string]eventlog.State[Key]{},
		sessions: map[string]string{}, links: map[string]string{}, keySums: map[string]string{}}
}

// apply applies a message of the log. After an error, the account or key of the message is not known, so it has no access.
func (v *view) apply(m eventlog.Message) error {
	if name, ok := events.ParseSubject(events.PrefixStaff, m.Subject); ok {
		return v.applyToAccount(name, m)
	}
	if name, ok := events.ParseSubject(events.PrefixKey, m.Subject); ok {
		return v.applyToKey(name, m)
	}
	return nil
}

func (v *view) applyToAccount(name string, m eventlog.Message) error {
	before := v.accounts[name]
	for _, s := range before.Value.Sessions {
		delete(v.sessions, s.SHA256)
	}
	delete(v.links, before.Value.link)
	after, err := Accounts.Step(before, m)
	if err != nil {
		delete(v.accounts, name)
		return err
	}
	v.accounts[name] = after
	for _, s := range after.Value.Sessions {
		v.sessions[s.SHA256] = name
	}
	if after.Value.link != "" {
		v.links[after.Value.link] = name
	}
	return nil
}

func (v *view) applyToKey(name string, m eventlog.Message) error {
	before := v.keys[name]
	delete(v.keySums, before.Value.sum)
	after, err := Keys.Step(before, m)
	if err != nil {
		delete(v.keys, name)
		return err
	}
	v.keys[name] = after
	if after.Value.Exists() {
		v.keySums[after.Value.sum] = name
	}
	return nil
}

// voidsStaff returns the sequence of the event of an account or a key that a message declares void; false when it declares none.
func voidsStaff(m eventlog.Message) (sequence uint64, ok bool) {
	if !strings.HasPrefix(m.Subject, events.PrefixVoid) {
		return 0, false
	}
	e, err := m.Event()
	void, ok := e.Payload.(events.EventVoided)
	return void.Sequence, err == nil && ok && (strings.HasPrefix(void.Subject, events.PrefixStaff) || strings.HasPrefix(void.Subject, events.PrefixKey))
}
