package console

import (
	"context"
	"strings"
	"sync"
	"testing"

	"tillstream/cmd/internal/staff"
)

// openRealStaff starts a console with the accounts and keys of the log.
func openRealStaff(t testing.TB) *world {
	t.Helper()
	return open(t, func(c *Config) {
		directory := staff.NewDirectory(c.Log.Log())
		if err := directory.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		service, err := staff.New(staff.Config{Directory: directory, Log: c.Log.Log().ForDomain("ops"), Secrets: strings.Repeat("s", 64)})
		if err != nil {
			t.Fatal(err)
		}
		c.Members = MembersOf(service)
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { _ = directory.Run(ctx) }) // ends with the test
		t.Cleanup(func() { cancel(); running.Wait() })
	})
}

func TestThePagesOfStaffChangeAccountsAndKeysInTheLog(t *testing.T) {
	w := openRealStaff(t)
	shows(t, w.sendForm("/ops/staff", "name", "lena", "display_name", "Lena L.", "role", "operator", "reason", "new colleague"), w.URL+"/ops/join#")
	shows(t, w.get("/ops/staff"), "lena", "Lena L.", "invited")
	shows(t, w.sendForm("/ops/staff/lena/role", "role", "viewer", "reason", "at first"), "lena is viewer now", `href="/ops/events/`)
	shows(t, w.sendForm("/ops/staff/lena/link", "reason", "lost it"), w.URL+"/ops/join#")
	shows(t, w.sendForm("/ops/keys", "name", "till", "scope", "read", "reason", "new till"), staff.KeyPrefix)
	shows(t, w.sendForm("/ops/staff", "name", "Lena!", "role", "operator", "reason", "x"), "bad name")
	shows(t, w.sendForm("/ops/keys/till/revoke", "reason", "leaked"), "The API key till is revoked", "No API keys")
	shows(t, w.sendForm("/ops/staff/lena/signout", "reason", "x"), "All sessions of lena have ended")
	shows(t, w.sendForm("/ops/staff/lena/remove", "reason", "has left"), "The account lena is removed", "No accounts")
	subject := "ops.staff.lena"
	m, err := w.Reader.Newest(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := m.Event(); err != nil || e.Type != "ops.staff_removed" || e.Actor != "staff:mira" || e.Reason != "has left" || !strings.HasPrefix(e.Via, "console ") {
		t.Errorf("newest event of %s: got %s by %s because %q via %q, %v", subject, e.Type, e.Actor, e.Reason, e.Via, err)
	}
}
