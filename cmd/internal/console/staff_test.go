package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/api"
)

// fakeMembers keeps accounts and keys in memory, and the author of the last change.
type fakeMembers struct {
	accounts []Account
	keys     []APIKey
	used     map[string]time.Time
	unread   error // of used
	author   events.Author
}

func newFakeMembers() *fakeMembers {
	return &fakeMembers{accounts: []Account{
		{Name: "mira", Role: api.Admin, Status: "active", TOTP: true, Added: time.Now(), SignedIn: time.Now(), Sessions: []Session{{Began: time.Now(), Expires: time.Now().Add(time.Hour), Via: "console 192.0.2.7", UserAgent: vicious}}},
		{Name: "noah", DisplayName: vicious, Role: api.Viewer, Status: "invited", Added: time.Now(), LinkExpires: time.Now().Add(time.Hour)}},
		keys: []APIKey{{Name: "backup", Permissions: []api.Permission{api.ReadAll}, Made: time.Now(), MadeBy: "staff:mira"}}}
}

func (f *fakeMembers) Accounts() []Account { return f.accounts }
func (f *fakeMembers) Keys() []APIKey      { return f.keys }

func (f *fakeMembers) LastUses(context.Context) (map[string]time.Time, error) {
	return f.used, f.unread
}

func (f *fakeMembers) Invite(_ context.Context, name, display string, role api.Role, author events.Author) (Invitation, error) {
	if slices.ContainsFunc(f.accounts, func(a Account) bool { return a.Name == name }) {
		return Invitation{}, errors.New("exists already: account " + name)
	}
	f.accounts, f.author = append(f.accounts, Account{Name: name, DisplayName: display, Role: role, Status: "invited"}), author
	return Invitation{Path: "/ops/join#token-of-" + name, Expires: time.Now().Add(time.Hour)}, nil
}

func (f *fakeMembers) NewLink(_ context.Context, name string, author events.Author) (Invitation, error) {
	f.author = author
	return Invitation{Path: "/ops/join#again-" + name}, nil
}

// change changes an account in place.
func (f *fakeMembers) change(name string, author events.Author, change func(*Account)) error {
	f.author = author
	for i := range f.accounts {
		if f.accounts[i].Name == name {
			change(&f.accounts[i])
		}
	}
	return nil
}

func (f *fakeMembers) ChangeRole(_ context.Context, name string, role api.Role, author events.Author) error {
	if name == "mira" {
		return errors.New("the last admin must stay")
	}
	return f.change(name, author, func(a *Account) { a.Role = role })
}

func (f *fakeMembers) Remove(_ context.Context, name string, author events.Author) error {
	f.author, f.accounts = author, slices.DeleteFunc(f.accounts, func(a Account) bool { return a.Name == name })
	return nil
}

func (f *fakeMembers) SignOutAll(_ context.Context, name string, author events.Author) error {
	return f.change(name, author, func(a *Account) { a.Sessions = nil })
}

func (f *fakeMembers) RemoveTOTP(_ context.Context, name string, author events.Author) error {
	return f.change(name, author, func(a *Account) { a.TOTP = false })
}

func (f *fakeMembers) MakeKey(_ context.Context, name string, permissions []api.Permission, expires time.Time, author events.Author) (string, error) {
	if len(permissions) == 0 {
		return "", errors.New("it needs at least one permission")
	}
	f.keys, f.author = append(f.keys, APIKey{Name: name, Permissions: permissions, MadeBy: author.Actor, Expires: expires}), author
	return "tsk_secret_of_" + name, nil
}

func (f *fakeMembers) RevokeKey(_ context.Context, name string, author events.Author) error {
	f.author, f.keys = author, slices.DeleteFunc(f.keys, func(k APIKey) bool { return k.Name == name })
	return nil
}

// openStaff starts a console with members of staff.
func openStaff(t testing.TB) (*world, *fakeMembers) {
	t.Helper()
	members := newFakeMembers()
	return open(t, func(c *Config) { c.Members = members }), members
}

// send posts a form of the pages of staff and returns the answer, which may be a page with a secret.
func (w *world) sendForm(path string, fields ...string) string {
	w.t.Helper()
	form := url.Values{"back": {"/ops/staff"}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	answer, body := w.send(w.Client, "POST", path, form)
	if answer.StatusCode == http.StatusSeeOther {
		return w.get(answer.Header.Get("Location"))
	}
	return body
}

func TestStaffAreInvitedWithALinkThatIsShownOnce(t *testing.T) {
	w, members := openStaff(t)
	shows(t, w.get("/ops/staff"), "mira", "noah", "backup", "Invite somebody", "read", "active", "invited")
	page := w.sendForm("/ops/staff", "name", "lena", "role", "operator", "reason", "new colleague")
	shows(t, page, w.URL+"/ops/join#token-of-lena", "shown only now")
	if strings.Contains(w.get("/ops/staff")+w.get("/ops/staff/lena"), "token-of-lena") {
		t.Error("the link is shown a second time")
	}
	if a := members.author; a.Actor != "staff:mira" || a.Reason != "new colleague" || !strings.HasPrefix(a.Via, "console ") {
		t.Errorf("got author %+v", a)
	}
	shows(t, w.sendForm("/ops/staff", "name", "lena", "role", "operator", "reason", "again"), "exists already", `role="alert"`)
	shows(t, w.sendForm("/ops/staff", "name", "otto", "role", "operator"), "please give a reason")
	shows(t, w.sendForm("/ops/staff/noah/link", "reason", "lost it"), "/ops/join#again-noah")
}

func TestAdminsChangeAccounts(t *testing.T) {
	w, members := openStaff(t)
	shows(t, w.get("/ops/staff/mira"), "console 192.0.2.7", "Sign out all sessions", "This is your own account")
	shows(t, w.sendForm("/ops/staff/mira/signout", "reason", "lost laptop"), "All sessions of mira have ended", "Not signed in")
	shows(t, w.sendForm("/ops/staff/mira/totp", "reason", "lost phone"), "signs in without a code")
	shows(t, w.sendForm("/ops/staff/noah/role", "role", "operator", "reason", "promoted"), "noah is operator now")
	shows(t, w.sendForm("/ops/staff/mira/role", "role", "viewer", "reason", "x"), "the last admin must stay")
	shows(t, w.sendForm("/ops/staff/noah/role", "role", "operator"), "please give a reason")
	shows(t, w.sendForm("/ops/staff/noah/remove", "reason", "has left"), "The account noah is removed")
	if len(members.accounts) != 1 || members.author.Reason != "has left" {
		t.Errorf("got %+v by %+v, want mira alone", members.accounts, members.author)
	}
	shows(t, w.sendForm("/ops/staff/nobody/remove", "reason", "x"), "not found")
}

func TestKeysAreMadeAndRevoked(t *testing.T) {
	w, members := openStaff(t)
	page := w.sendForm("/ops/keys", "name", "till", "scope", "read", "scope", "stock:write", "expires", "2999-12-31", "reason", "new till")
	shows(t, page, "tsk_secret_of_till", "shown only now", "OPS_KEY")
	if made := members.keys[1]; len(made.Permissions) != 2 || made.Expires.Format(time.DateTime) != "2999-12-31 23:59:59" {
		t.Errorf("got %+v", made)
	}
	if strings.Contains(w.get("/ops/staff"), "tsk_secret") {
		t.Error("the key is shown a second time")
	}
	shows(t, w.sendForm("/ops/keys", "name", "bad", "reason", "x"), "at least one permission")
	shows(t, w.sendForm("/ops/keys", "name", "bad", "scope", "read", "expires", "soon", "reason", "x"), "want a day")
	shows(t, w.sendForm("/ops/keys/backup/revoke", "reason", "leaked"), "The API key backup is revoked")
	if len(members.keys) != 1 {
		t.Errorf("got %+v, want one key", members.keys)
	}
}

func TestLastUseOfKeysIsShown(t *testing.T) {
	w, members := openStaff(t)
	const cell = `<td data-label="Last used">`
	shows(t, w.get("/ops/staff"), cell+"never<")
	members.used = map[string]time.Time{"backup": time.Now().Add(-3 * time.Hour)}
	shows(t, w.get("/ops/staff"), cell+"<time", "3 h ago")
	members.used, members.unread = nil, errors.New("the broker does not answer")
	shows(t, w.get("/ops/staff"), cell+"not known<")
}

func TestOnlyAdminsManageStaff(t *testing.T) {
	w, members := openStaff(t)
	for _, role := range []api.Role{api.Viewer, api.Operator} {
		w.Client = w.signIn(string(role))
		if page := w.get("/ops/staff"); strings.Contains(page, "<form method=\"post\" action=\"/ops/keys") || strings.Contains(page, "Invite somebody") || strings.Contains(page, `href="/ops/staff/noah"`) {
			t.Errorf("the page of a %s has buttons of admins", role)
		}
		for _, path := range []string{"/ops/staff", "/ops/staff/noah/link", "/ops/staff/noah/role", "/ops/staff/noah/remove", "/ops/staff/mira/signout", "/ops/staff/mira/totp", "/ops/keys", "/ops/keys/backup/revoke"} {
			shows(t, w.sendForm(path, "name", "evil", "role", "admin", "scope", "read", "reason", "x"), "does not have the permission staff:write")
		}
	}
	if members.author.Actor != "" {
		t.Errorf("a change was made by %+v", members.author)
	}
}

func TestStoredTextIsNeverMarkupOnPagesOfStaff(t *testing.T) {
	w, _ := openStaff(t)
	for _, path := range []string{"/ops/staff", "/ops/staff/noah", "/ops/staff/mira"} {
		if page := w.get(path); strings.Contains(page, "<script>alert") || strings.Contains(page, "<b>") {
			t.Errorf("%s has stored text as markup", path)
		}
	}
}

func TestPagesOfStaffLookRight(t *testing.T) {
	w, _ := openStaff(t)
	w.checkLooks("staff", "/ops/staff")
	w.checkLooks("account", "/ops/staff/mira")
	tab := w.tab(390)
	tab.Visit(w.URL + "/ops/staff")
	tab.Click("details:has(#key-name) summary")
	tab.Fill("#key-name", "till")
	tab.Click("input[value='stock:write']")
	tab.Fill("#reason-key", "new till")
	axe(t, tab)
	tab.Click("form[action='/ops/keys'] button")
	tab.See("[data-secret]", "tsk_secret_of_till")
	axe(t, tab)
	tab.NoSideScroll()
	tab.Shot("secret-390")
}
