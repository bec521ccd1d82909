package staff

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// A member of staff who is removed, and a key that is revoked, have no access in another process either, within a second.
func TestRemovedStaffHaveNoAccessInAnyProcess(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	here, there := startOn(t, server, secret), startOn(t, server, "") // there as a worker: it has no secret
	here.join(t, "boss", api.Admin)
	here.join(t, "mira", api.Operator)
	token := here.signIn(t, "mira").Token
	key, err := here.MakeKey(t.Context(), NewAPIKey{Name: "backup", Permissions: []api.Permission{api.ReadAll}}, boss)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the other process knows both", func() bool { return there.knows(token) && there.knows(key) })
	if !here.knows(token) || !here.knows(key) {
		t.Error("the own process does not know a credential that it has made")
	}
	if err := here.ChangeRole(t.Context(), "mira", api.Viewer, boss); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the other role counts", func() bool {
		p, ok := there.directory.Staff("Bearer " + token)
		return ok && p.Actor == "staff:mira" && !p.May(api.WriteStock) && p.May(api.ReadAll)
	})
	began := time.Now()
	if err := errors.Join(here.Remove(t.Context(), "mira", boss), here.RevokeKey(t.Context(), "backup", boss)); err != nil {
		t.Fatal(err)
	}
	if here.knows(token) || here.knows(key) {
		t.Error("the own process accepts a credential that was taken away")
	}
	waitFor(t, "the other process refuses both", func() bool { return !there.knows(token) && !there.knows(key) })
	if took := time.Since(began); took > time.Second {
		t.Errorf("refused after %s, want within a second", took)
	}
}

// Of two admins who remove each other at the same time, one stays.
func TestTwoAdminsWhoRemoveEachOther(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	processes := []*process{startOn(t, server, secret), startOn(t, server, secret)}
	names := []string{"ada", "bo"}
	for _, name := range names {
		processes[0].join(t, name, api.Admin)
	}
	for round := range 3 {
		var all sync.WaitGroup
		results := make([]error, 2)
		for i, p := range processes {
			all.Go(func() { results[i] = p.Remove(t.Context(), names[1-i], boss) })
		}
		all.Wait()
		failed := 0
		for _, err := range results {
			if errors.Is(err, ErrLastAdmin) {
				failed++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		names2, _, err := Admins.Read(t.Context(), processes[0].log, adminsID)
		if failed != 1 || err != nil || len(names2) != 1 {
			t.Fatalf("round %d: got errors %v and admins %v, %v; want one refusal and one admin", round, results, names2, err)
		}
		for _, name := range names {
			if name != names2[0] {
				processes[0].join(t, name, api.Admin)
			}
		}
	}
	if err := processes[0].ChangeRole(t.Context(), "ada", api.Viewer, boss); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{processes[1].ChangeRole(t.Context(), "bo", api.Operator, boss), processes[1].Remove(t.Context(), "bo", boss)} {
		if !errors.Is(err, ErrLastAdmin) {
			t.Errorf("the last admin: got %v, want ErrLastAdmin", err)
		}
	}
}

// Keys and sessions have an end, to the second.
//
// API2 of the OWASP API Top 10.
func TestKeysAndSessionsExpire(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.join(t, "mira", api.Admin)
	token := p.signIn(t, "mira").Token
	key, err := p.MakeKey(t.Context(), NewAPIKey{Name: "short", Permissions: []api.Permission{api.ReadAll}, Expires: p.clock.now().Add(time.Hour)}, boss)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after        time.Duration
		key, session bool
	}{{0, true, true}, {time.Hour, false, true}, {11*time.Hour - time.Second, false, true}, {time.Second, false, false}} {
		p.clock.advance(step.after)
		if p.knows(key) != step.key || p.knows(token) != step.session {
			t.Errorf("%s later: got key %t and session %t, want %t and %t", step.after, p.knows(key), p.knows(token), step.key, step.session)
		}
	}
}

// Neither the log nor what the process logs has a secret in clear.
//
// API2 of the OWASP API Top 10.
func TestLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	p := start(t)
	link, err := p.Add(t.Context(), Addition{Name: "mira", DisplayName: "Mira Novak", Role: api.Admin}, boss)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Accept(t.Context(), link.Token, password, "console 192.0.2.7"); err != nil {
		t.Fatal(err)
	}
	totp := NewTOTPSecret()
	if err := p.SetTOTP(t.Context(), "mira", totp, codeAt(t, totp, p.clock.now()), "console"); err != nil {
		t.Fatal(err)
	}
	p.clock.advance(time.Minute)
	credentials := Credentials{Name: "mira", Password: password, Code: codeAt(t, totp, p.clock.now()), Address: "192.0.2.7"}
	session, err := p.SignIn(t.Context(), credentials)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.SignIn(t.Context(), Credentials{Name: "my secret in the wrong field", Password: "another secret"}); !errors.Is(err, ErrRefused) {
		t.Fatalf("got %v, want ErrRefused", err)
	}
	key, err := p.MakeKey(t.Context(), NewAPIKey{Name: "backup", Permissions: api.Permissions()}, boss)
	if err != nil {
		t.Fatal(err)
	}
	var stored strings.Builder
	if _, err := p.log.Since(t.Context(), []string{">"}, beginning, func(m eventlog.Message) error {
		stored.Write(m.Data)
		for _, values := range m.Header {
			stored.WriteString(strings.Join(values, "\n"))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"password": password, "argon2 hash": "argon2", "code secret": totp, "link": link.Token, "session": session.Token,
		"key": key, "wrong name": "wrong field", "wrong password": "another secret", "shop's secret": secret} {
		if strings.Contains(stored.String(), text) || strings.Contains(p.out.String(), text) {
			t.Errorf("%s: in clear in the log, or in what the process logs", what)
		}
	}
	if !strings.Contains(stored.String(), sumOf(key)) || !strings.Contains(p.out.String(), "(unknown)") {
		t.Error("the SHA-256 of the key is not in the log, or the refusal was not logged: the test reads nothing")
	}
}

// An account whose history cannot be read has no access; the others keep theirs. When staff void the event, it has access again.
func TestUnreadableAccountHasNoAccess(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.join(t, "boss", api.Admin)
	p.join(t, "mira", api.Viewer)
	boss1, mira := p.signIn(t, "boss").Token, p.signIn(t, "mira").Token
	msg, err := events.Encode(events.Event{ID: "x", Source: "test", Time: p.clock.now(), Subject: events.PrefixStaff + "mira", Revision: 4, Payload: events.StaffRemoved{Name: "mira"}})
	if err != nil {
		t.Fatal(err)
	}
	msg.Data = []byte("{")
	ack, err := p.log.JetStream().PublishMsg(t.Context(), msg)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the account has no access", func() bool { return !p.knows(mira) })
	if !p.knows(boss1) {
		t.Error("another account lost its access")
	}
	m, err := p.log.Get(t.Context(), ack.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eventlog.Void(t.Context(), p.log, m, boss); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the account has access again", func() bool { return p.knows(mira) })
}

// A directory that does not follow the log, as in a tool or in a process that has just started, knows what its own service changes.
func TestChangeIsKnownWithoutFollowing(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t).ForDomain("ops")
	service, err := New(Config{Directory: NewDirectory(l), Log: l})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mira", "noah"} {
		if _, err := service.Add(t.Context(), Addition{Name: name, Role: api.Admin}, boss); err != nil {
			t.Fatal(err)
		}
		if _, known := service.Directory().Account(name); !known {
			t.Errorf("the directory does not know %s after the account was added", name)
		}
	}
}

// API5 of the OWASP API Top 10: a key that manages staff gives nobody, and no other key, what it may not do itself.
func TestAKeyGivesOnlyWhatItMayDoItself(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.join(t, "mira", api.Admin)
	p.join(t, "noa", api.Viewer)
	narrow := []api.Permission{api.ManageStaff, api.ReadAll, api.ReadMetrics}
	if _, err := p.MakeKey(t.Context(), NewAPIKey{Name: "hr", Permissions: narrow}, boss); err != nil {
		t.Fatal(err)
	}
	hr := events.Author{Actor: events.ActorKey + "hr", Reason: "wants more"}
	_, err1 := p.MakeKey(t.Context(), NewAPIKey{Name: "wide", Permissions: api.Permissions()}, hr)
	_, err2 := p.Add(t.Context(), Addition{Name: "eve", Role: api.Admin}, hr)
	_, err3 := p.Link(t.Context(), "mira", hr)
	for what, err := range map[string]error{"a wider key": err1, "an admin": err2, "a link of an admin": err3, "the role admin": p.ChangeRole(t.Context(), "noa", api.Operator, hr)} {
		if !errors.Is(err, ErrNotYours) {
			t.Errorf("%s by a key that only manages staff: got %v, want ErrNotYours", what, err)
		}
	}
	_, err1 = p.MakeKey(t.Context(), NewAPIKey{Name: "reader", Permissions: narrow[1:]}, hr)
	_, err2 = p.Link(t.Context(), "noa", hr)
	if err := errors.Join(err1, err2, p.ChangeRole(t.Context(), "mira", api.Admin, hr)); err != nil {
		t.Errorf("what the key may do itself: %v", err)
	}
	if err := p.Remove(t.Context(), "noa", hr); err != nil {
		t.Errorf("remove an account: %v", err)
	}
}
