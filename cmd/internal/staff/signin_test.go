package staff

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/log/logtest"
)

func codeAt(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	key, err := totpEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return totpCode(key, at.Unix()/totpPeriod, totpDigits)
}

// RFC 6238, appendix B, for SHA-1.
func TestCodesAreThoseOfTheRFC(t *testing.T) {
	t.Parallel()
	for at, want := range map[int64]string{59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130"} {
		if got := totpCode([]byte("12345678901234567890"), at/totpPeriod, 8); got != want {
			t.Errorf("code at %d: got %s, want %s", at, got, want)
		}
	}
}

// A code is accepted once in the whole shop, and in a window of a step before and after.
//
// API2 of the OWASP API Top 10.
func TestCodeIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	p, other := startOn(t, server, secret), startOn(t, server, secret)
	p.join(t, "mira", api.Admin)
	totp := NewTOTPSecret()
	if err := p.SetTOTP(t.Context(), "mira", totp, "000000", "console"); !errors.Is(err, ErrRefused) {
		t.Fatalf("set with a wrong code: got %v, want ErrRefused", err)
	}
	if err := p.SetTOTP(t.Context(), "mira", totp, codeAt(t, totp, p.clock.now()), "console"); err != nil {
		t.Fatal(err)
	}
	attempt := func(s *process, code string, want error) {
		t.Helper()
		if _, err := s.SignIn(t.Context(), Credentials{Name: "mira", Password: password, Code: code}); !errors.Is(err, want) {
			t.Errorf("sign in with code %q: got %v, want %v", code, err, want)
		}
	}
	attempt(p, codeAt(t, totp, p.clock.now()), ErrRefused) // used to set it
	attempt(p, "", ErrRefused)
	now := p.clock.now().Add(2 * time.Minute)
	p.clock.at, other.clock.at = now, now
	attempt(p, codeAt(t, totp, now.Add(-2*totpPeriod*time.Second)), ErrRefused)
	attempt(p, codeAt(t, totp, now.Add(2*totpPeriod*time.Second)), ErrRefused)
	attempt(p, codeAt(t, totp, now.Add(-totpPeriod*time.Second)), nil)
	attempt(other, codeAt(t, totp, now), nil)
	attempt(p, codeAt(t, totp, now), ErrRefused)
	if err := p.RemoveTOTP(t.Context(), "mira", boss); err != nil {
		t.Fatal(err)
	}
	attempt(p, "", nil)
}

// Wrong attempts are refused in the same way, and after ten of them the account and the address have to wait.
//
// API2 of the OWASP API Top 10.
func TestAttemptsAreLimited(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.join(t, "mira", api.Admin)
	p.join(t, "noa", api.Viewer)
	if err := p.Remove(t.Context(), "noa", boss); err != nil {
		t.Fatal(err)
	}
	end, err := p.log.End(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Credentials{{Name: "mira", Password: "wrong"}, {Name: "nobody", Password: password}, {Name: "noa", Password: password}, {Name: "*", Password: password}} {
		if _, err := p.SignIn(t.Context(), c); !errors.Is(err, ErrRefused) || err.Error() != ErrRefused.Error() {
			t.Errorf("sign in as %s: got %v, want ErrRefused and no more", c.Name, err)
		}
	}
	for i := range maxFailures - 1 {
		if _, err := p.SignIn(t.Context(), Credentials{Name: "mira", Password: "wrong", Address: "192.0.2." + string(rune('1'+i))}); !errors.Is(err, ErrRefused) {
			t.Fatalf("attempt %d: got %v, want ErrRefused", i, err)
		}
	}
	var locked *LockedError
	if _, err := p.SignIn(t.Context(), Credentials{Name: "mira", Password: password, Address: "198.51.100.1"}); !errors.As(err, &locked) || !locked.Until.Equal(p.clock.now().Add(failurePeriod)) {
		t.Errorf("after ten failures of the account: got %v, want a LockedError for 15 minutes", err)
	}
	for range maxFailures {
		_, _ = p.SignIn(t.Context(), Credentials{Name: "stranger", Password: "guess", Address: "2001:db8::1"})
	}
	if _, err := p.SignIn(t.Context(), Credentials{Name: "another", Password: "guess", Address: "2001:db8::2"}); !errors.As(err, &locked) {
		t.Errorf("after ten failures from the network: got %v, want a LockedError", err)
	}
	if now, err := p.log.End(t.Context(), 0); err != nil || now != end {
		t.Errorf("failed attempts: got %d events, %v; want none", now-end, err)
	}
	p.clock.advance(failurePeriod)
	p.signIn(t, "mira")
}

// Strangers choose the names. What no account can have for a name takes no memory.
func TestTextsThatAreNoNamesAreNotKept(t *testing.T) {
	t.Parallel()
	p := start(t)
	for i := range 3 {
		if _, err := p.SignIn(t.Context(), Credentials{Name: strings.Repeat("a", 100_000+i), Password: "guess", Address: "192.0.2.1"}); !errors.Is(err, ErrRefused) {
			t.Errorf("sign in with a name that no account can have: got %v, want ErrRefused", err)
		}
	}
	if got := p.attempts.others.Keys(); len(got) != 1 || got[0] != "address 192.0.2.1" {
		t.Errorf("counters: got %.60q, want the address alone", got)
	}
}

// A change of the password ends the other sessions, and needs the old one.
func TestPasswordIsChanged(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.join(t, "mira", api.Admin)
	here, there := p.signIn(t, "mira"), p.signIn(t, "mira")
	sessions := Sessions{p.Service, "Tillstream"}
	if err := sessions.ChangePassword(t.Context(), here.Token, "wrong", "another password", "console 192.0.2.7"); !errors.Is(err, ErrRefused) {
		t.Errorf("with a wrong old password: got %v, want ErrRefused", err)
	}
	for _, bad := range []string{"short", "mira12345678"} {
		if err := sessions.ChangePassword(t.Context(), here.Token, password, bad, "console 192.0.2.7"); !errors.Is(err, ErrBadPassword) {
			t.Errorf("to %q: got %v, want ErrBadPassword", bad, err)
		}
	}
	if err := sessions.ChangePassword(t.Context(), here.Token, password, "another password", "console 192.0.2.7"); err != nil {
		t.Fatal(err)
	}
	if !p.knows(here.Token) || p.knows(there.Token) {
		t.Error("the session in which the password was changed must go on, and the other one end")
	}
	if err := sessions.SignOut(t.Context(), here.Token, "console 192.0.2.7"); err != nil || p.knows(here.Token) {
		t.Errorf("sign out: got %v, and the session is known: %t", err, p.knows(here.Token))
	}
}

// A link works once and for seven days, and a newer one replaces it.
func TestLinkWorksOnce(t *testing.T) {
	t.Parallel()
	p := start(t)
	first, err := p.Add(t.Context(), Addition{Name: "mira", Role: api.Admin}, boss)
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.Link(t.Context(), "mira", boss)
	if err != nil {
		t.Fatal(err)
	}
	accept := func(link Link, want error) {
		t.Helper()
		if _, err := p.Accept(t.Context(), link.Token, password, "console"); !errors.Is(err, want) {
			t.Errorf("accept: got %v, want %v", err, want)
		}
	}
	accept(first, ErrNotFound)
	accept(Link{}, ErrNotFound)
	accept(second, nil)
	accept(second, ErrNotFound)
	third, err := p.Link(t.Context(), "mira", boss)
	if err != nil {
		t.Fatal(err)
	}
	p.clock.advance(LinkLifetime)
	accept(third, ErrNotFound)
	p.signIn(t, "mira") // with the password from before
	for _, author := range []events.Author{{}, {Reason: " "}, {Reason: "a\x1b[31m"}} {
		if _, err := p.Link(t.Context(), "mira", author); err == nil {
			t.Errorf("reason %q: got no error", author.Reason)
		}
	}
}

// When the shop's secret is rotated, what the old one has sealed is sealed anew at the next sign-in, also the secret of the codes.
// Hashes with old parameters are replaced too.
func TestSecretIsRotated(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	const next = "the next secret of the shop in a test"
	before := startOn(t, server, secret)
	before.join(t, "mira", api.Admin)
	totp := NewTOTPSecret()
	if err := before.SetTOTP(t.Context(), "mira", totp, codeAt(t, totp, before.clock.now()), "console"); err != nil {
		t.Fatal(err)
	}
	for i, secrets := range []string{next + "," + secret, next} {
		p := startOn(t, server, secrets)
		p.clock.at = before.clock.now().Add(time.Duration(i+1) * time.Minute)
		token, _, err := Sessions{p.Service, "Tillstream"}.SignIn(t.Context(), "mira", password, codeAt(t, totp, p.clock.now()), "console 192.0.2.7")
		if err != nil || !p.knows(token) {
			t.Fatalf("with the secrets %q: got %v", secrets, err)
		}
	}
	late := startOn(t, server, secret)
	late.clock.at = before.clock.now().Add(time.Hour)
	if _, err := late.SignIn(t.Context(), Credentials{Name: "mira", Password: password, Code: codeAt(t, totp, late.clock.now())}); !errors.Is(err, ErrRefused) {
		t.Errorf("with the old secret alone: got %v, want ErrRefused", err)
	}
}
