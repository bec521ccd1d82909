package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/cmd/internal/staff"
	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
)

// personnel makes accounts and keys as another process of the shop does, with a clock of its own.
type personnel struct {
	*staff.Service
	t *testing.T
}

var manager = events.Author{Actor: "staff:manager", Reason: "a test", Via: "test"}

// personnel returns a service whose clock is late.
func (ts *testShop) personnel(t *testing.T, late time.Duration) personnel {
	t.Helper()
	var kept secrets
	readFile(t, ts.config.dir("secrets.json"), &kept)
	conn, err := nats.Connect(ts.NATS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	l, err := eventlog.Open(t.Context(), conn, eventlog.Config{Source: "ops", MustExist: true, Now: func() time.Time { return time.Now().Add(-late) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	directory := staff.NewDirectory(l)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- directory.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	service, err := staff.New(staff.Config{Directory: directory, Log: l, Secrets: kept.TokenSecret})
	if err != nil {
		t.Fatal(err)
	}
	return personnel{service, t}
}

// session signs a new member of staff in and returns the token of the session.
func (p personnel) session(name string, role api.Role) string {
	p.t.Helper()
	const password = "a password of a test"
	link, err := p.Add(p.t.Context(), staff.Addition{Name: name, Role: role}, manager)
	if err != nil {
		p.t.Fatal(err)
	}
	waitFor(p.t, "the link is known", func() bool { _, ok := p.Directory().Link(link.Token); return ok })
	if _, err := p.Accept(p.t.Context(), link.Token, password, "test"); err != nil {
		p.t.Fatal(err)
	}
	session, err := p.SignIn(p.t.Context(), staff.Credentials{Name: name, Password: password, Via: "test"})
	if err != nil {
		p.t.Fatal(err)
	}
	return session.Token
}

func (p personnel) key(name string, expires time.Time, permissions ...api.Permission) string {
	p.t.Helper()
	key, err := p.MakeKey(p.t.Context(), staff.NewAPIKey{Name: name, Permissions: permissions, Expires: expires}, manager)
	if err != nil {
		p.t.Fatal(err)
	}
	return key
}

// permissionOf is the permission that a route of staff needs.
func permissionOf(route string) api.Permission {
	switch {
	case strings.HasPrefix(route, "GET "):
		return api.ReadAll
	case strings.HasSuffix(route, "/fulfilments"):
		return api.FulfilOrders
	case strings.HasSuffix(route, "/refunds"):
		return api.RefundOrders
	case strings.Contains(route, "/ops/api/orders"):
		return api.WriteOrders
	case strings.Contains(route, "/ops/api/items"):
		return api.WriteItems
	case strings.Contains(route, "/ops/api/stock"):
		return api.WriteStock
	}
	return "unknown"
}

// Every route of staff accepts exactly the credentials whose role or scopes have its permission.
//
// API5 of the OWASP API Top 10.
func TestStaffRoutesFollowThePermissionTable(t *testing.T) {
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 10)
	now, late := ts.personnel(t, 0), ts.personnel(t, time.Hour)
	may := map[string][]api.Permission{} // by credential; nil: it is not valid
	may[""], may["garbage"], may[staff.NewKey()] = nil, nil, nil
	may[late.key("expired", time.Now().Add(-time.Minute), api.Permissions()...)] = nil
	revoked := now.key("revoked", time.Time{}, api.Permissions()...)
	removed := now.session("removed", api.Admin)
	for _, role := range api.Roles {
		may[now.session("the-"+string(role), role)] = role.Permissions()
	}
	for i, permission := range api.Permissions() {
		may[now.key("scope-"+string(rune('a'+i)), time.Now().Add(time.Hour), permission)] = []api.Permission{permission}
	}
	for _, credential := range []string{revoked, removed} {
		waitFor(t, "the shop knows a credential that will be taken away", func() bool { return ts.get(t, "/ops/api/orders", credential).Status == http.StatusOK })
		may[credential] = nil
	}
	if err := now.RevokeKey(t.Context(), "revoked", manager); err != nil {
		t.Fatal(err)
	}
	if err := now.Remove(t.Context(), "removed", manager); err != nil {
		t.Fatal(err)
	}
	last := now.key("last", time.Time{}, api.ReadAll) // when the shop knows this one, it knows all that happened before
	waitFor(t, "the shop knows the last key", func() bool { return ts.get(t, "/ops/api/orders", last).Status == http.StatusOK })
	tested := 0
	for _, o := range ts.operations(t) {
		if o.security != "staff" {
			continue
		}
		tested++
		for credential, permissions := range may {
			a := ts.ask(t, o.at("MUG"), "", credential, "")
			want := "401"
			if permissions != nil {
				want = "403"
			}
			if slices.Contains(permissions, permissionOf(o.route)) {
				want = "allowed"
			}
			if got := outcome(a.Status); got != want {
				t.Errorf("%s with permissions %v: got %s (status %d), want %s", o.route, permissions, got, a.Status, want)
			}
		}
	}
	if tested < 5 {
		t.Errorf("tested %d routes of staff, want at least 5", tested)
	}
}

// outcome is what a status says about the permission.
func outcome(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "401"
	case http.StatusForbidden:
		return "403"
	}
	return "allowed"
}
