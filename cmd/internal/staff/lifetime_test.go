package staff

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"tillstream/events/api"
	"tillstream/events/log/logtest"
)

// An attacker with many addresses cannot get more attempts at an account: other names and addresses, however many, do not make the
// counter of the account forget.
//
// API2 of the OWASP API Top 10.
func TestManyAddressesDoNotLoosenTheLimit(t *testing.T) {
	t.Parallel()
	a, now := newAttempts(), time.Now()
	address := func(n int) string { return fmt.Sprintf("2001:db8:%x:%x::1", n/65536, n%65536) }
	var locked *LockedError
	for n := range maxFailures {
		if err := a.begin(attempt{name: "mira", known: true, address: address(n), at: now}); err != nil {
			t.Fatalf("attempt %d: got %v, want it to be allowed", n, err)
		}
	}
	for n := range 2 * maxCounted {
		if err := a.begin(attempt{name: fmt.Sprint("stranger", n), address: address(n + maxFailures), at: now}); err != nil {
			t.Fatalf("a stranger: got %v, want the attempt to be allowed", err)
		}
		if err := a.begin(attempt{name: "mira", known: true, address: address(n + maxFailures), at: now}); !errors.As(err, &locked) {
			t.Fatalf("after %d other addresses: got %v, want a LockedError", n+1, err)
		}
	}
	if err := a.begin(attempt{name: "mira", known: true, address: address(0), at: now.Add(failurePeriod)}); err != nil {
		t.Errorf("after the period: got %v, want the attempt to be allowed", err)
	}
	// An IPv4 address is one client however it is written.
	for range maxFailures {
		_ = a.begin(attempt{name: "x", address: "192.0.2.7", at: now})
	}
	if err := a.begin(attempt{name: "y", address: "::ffff:192.0.2.7", at: now}); !errors.As(err, &locked) {
		t.Errorf("the same address in IPv6: got %v, want a LockedError", err)
	}
}

// Of two people who use a link at the same time, in two processes, one sets the password. It ends the sessions from before.
func TestLinkIsUsedByOne(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	processes := []*process{startOn(t, server, secret), startOn(t, server, secret)}
	processes[0].join(t, "mira", api.Admin)
	before := processes[0].signIn(t, "mira").Token
	link, err := processes[0].Link(t.Context(), "mira", boss)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the other process knows the link", func() bool { _, ok := processes[1].directory.Link(link.Token); return ok })
	if !processes[0].knows(before) {
		t.Error("the session ended when the link was made, want it to go on until the link is used")
	}
	results, passwords := make([]error, 2), []string{"the first password", "the second password"}
	var both sync.WaitGroup
	for i, p := range processes {
		both.Go(func() { _, results[i] = p.Accept(t.Context(), link.Token, passwords[i], "console 192.0.2.7") })
	}
	both.Wait()
	for i, p := range processes {
		waitFor(t, "the earlier session ends", func() bool { return !p.knows(before) })
		if other := results[1-i]; results[i] != nil && (!errors.Is(results[i], ErrNotFound) || other != nil) {
			t.Errorf("got %v and %v, want one ErrNotFound", results[i], other)
		}
		_, err := p.SignIn(t.Context(), Credentials{Name: "mira", Password: passwords[i], Address: "192.0.2.7"})
		if (err == nil) != (results[i] == nil) {
			t.Errorf("sign in with password %d: got %v, and it was set with %v", i, err, results[i])
		}
	}
}

// A change of the role counts in open sessions. A removed account loses sessions, link and password for good: an account that is added
// with the same name has none of them.
func TestAccountAddedAgainHasNothingOfTheFormer(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.join(t, "boss", api.Admin)
	p.join(t, "mira", api.Admin)
	session := p.signIn(t, "mira").Token
	former, err := p.Link(t.Context(), "mira", boss)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.ChangeRole(t.Context(), "mira", api.Viewer, boss); err != nil {
		t.Fatal(err)
	}
	if staff, ok := p.directory.Staff("Bearer " + session); !ok || staff.May(api.ManageStaff) || !staff.May(api.ReadAll) {
		t.Errorf("open session after the change of the role: got %+v, %t; want what a viewer may do", staff, ok)
	}
	if err := p.Remove(t.Context(), "mira", boss); err != nil {
		t.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		if again {
			if _, err := p.Add(t.Context(), Addition{Name: "mira", Role: api.Operator}, boss); err != nil {
				t.Fatal(err)
			}
		}
		if p.knows(session) {
			t.Errorf("added again %t: the session of the removed account works", again)
		}
		if _, err := p.Accept(t.Context(), former.Token, password, "console"); !errors.Is(err, ErrNotFound) {
			t.Errorf("added again %t: the link of the removed account: got %v, want ErrNotFound", again, err)
		}
		if _, err := p.SignIn(t.Context(), Credentials{Name: "mira", Password: password, Address: "192.0.2.7"}); !errors.Is(err, ErrRefused) {
			t.Errorf("added again %t: the password of the removed account: got %v, want ErrRefused", again, err)
		}
	}
}
