package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/api"
)

// Members decides about the accounts of staff and their API keys. Its errors are shown to the person who sent the form.
type Members interface {
	// Accounts and Keys return what exists now, sorted by name.
	Accounts() []Account
	Keys() []APIKey
	// LastUses returns when each API key was last used, to the hour. A key that is missing was not used since it was made.
	LastUses(ctx context.Context) (map[string]time.Time, error)
	// Invite adds an account, and NewLink makes another link for one. The token of the link is shown once.
	Invite(ctx context.Context, name, displayName string, role api.Role, author events.Author) (Invitation, error)
	NewLink(ctx context.Context, name string, author events.Author) (Invitation, error)
	ChangeRole(ctx context.Context, name string, role api.Role, author events.Author) error
	Remove(ctx context.Context, name string, author events.Author) error
	// SignOutAll ends all sessions of an account.
	SignOutAll(ctx context.Context, name string, author events.Author) error
	RemoveTOTP(ctx context.Context, name string, author events.Author) error
	// MakeKey returns a new API key, which is shown once. A zero time means that it never expires.
	MakeKey(ctx context.Context, name string, permissions []api.Permission, expires time.Time, author events.Author) (key string, err error)
	RevokeKey(ctx context.Context, name string, author events.Author) error
}

// Account is the account of a member of staff.
type Account struct {
	Name, DisplayName string
	Role              api.Role
	Status            string // invited or active
	Added, SignedIn   time.Time
	TOTP              bool
	LinkExpires       time.Time // zero: there is no link
	Sessions          []Session
}

// Session is a time in which a member of staff is signed in.
type Session struct {
	Began, Expires time.Time
	Via, UserAgent string
}

// APIKey is an API key of a program.
type APIKey struct {
	Name        string
	Permissions []api.Permission
	Made        time.Time
	MadeBy      string
	Expires     time.Time // zero: never
}

// Invitation is a link with which a member of staff sets a password.
type Invitation struct {
	Path    string // below the origin of the console, with its token
	Expires time.Time
}

func (c *console) staffRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/staff", c.view(api.ReadAll, c.withMembers(c.showStaff)))
	mux.Handle("POST /ops/staff", c.reveal(c.invite))
	mux.Handle("GET /ops/staff/{name}", c.view(api.ManageStaff, c.withMembers(c.showMember)))
	mux.Handle("POST /ops/staff/{name}/link", c.reveal(c.newLink))
	mux.Handle("POST /ops/staff/{name}/role", c.act(api.ManageStaff, c.changeAccount(c.changeRole)))
	mux.Handle("POST /ops/staff/{name}/signout", c.act(api.ManageStaff, c.changeAccount(c.signOutAll)))
	mux.Handle("POST /ops/staff/{name}/totp", c.act(api.ManageStaff, c.changeAccount(c.removeTOTP)))
	mux.Handle("POST /ops/staff/{name}/remove", c.act(api.ManageStaff, c.changeAccount(c.removeAccount)))
	mux.Handle("POST /ops/keys", c.reveal(c.makeKey))
	mux.Handle("POST /ops/keys/{name}/revoke", c.act(api.ManageStaff, c.revokeKey))
}

// errNoMembers is returned where the console cannot decide about accounts.
var errNoMembers = errors.New("this console does not manage accounts: see ops staff --help")

func (c *console) withMembers(show viewer) viewer {
	return func(w http.ResponseWriter, r *http.Request) error {
		if c.Members == nil {
			return fmt.Errorf("%w: %w", errInvalid, errNoMembers)
		}
		return show(w, r)
	}
}

// staffList is what the page of staff shows.
type staffList struct {
	Accounts []Account
	Keys     []APIKey
	Roles    []api.Role
	Scopes   []api.Permission

	Used      map[string]time.Time // when keys were last used, by name
	UsesKnown bool                 // otherwise Used could not be read
}

func (c *console) showStaff(w http.ResponseWriter, r *http.Request) error {
	data := staffList{Accounts: c.Members.Accounts(), Keys: c.Members.Keys(), Roles: api.Roles, Scopes: api.Permissions()}
	used, err := c.Members.LastUses(r.Context())
	if err != nil {
		c.Logger.WarnContext(r.Context(), "last use of the API keys not read", "error", err) // the page says that it is not known
	}
	data.Used, data.UsesKnown = used, err == nil
	return c.render(w, r, "staff.html", page{Title: "Staff", Nav: "Staff", Command: "ops staff list", Data: data})
}

// accountPage is what the page of one account shows.
type accountPage struct {
	Account
	Roles []api.Role
	Self  bool // it is the account of the reader
}

func (c *console) showMember(w http.ResponseWriter, r *http.Request) error {
	account, err := c.account(r.PathValue("name"))
	if err != nil {
		return err
	}
	data := accountPage{Account: account, Roles: api.Roles, Self: principalOf(r).Actor == events.ActorStaff+account.Name}
	return c.render(w, r, "member.html", page{Title: account.Name, Nav: "Staff", Data: data, Command: "ops staff list", Crumbs: []anchor{{"Staff", "/ops/staff"}}})
}

func (c *console) account(name string) (Account, error) {
	all := c.Members.Accounts()
	i := slices.IndexFunc(all, func(a Account) bool { return a.Name == name })
	if i < 0 {
		return Account{}, errNotFound
	}
	return all[i], nil
}

// accountChange changes one account and says what has happened. The account has been checked to exist.
type accountChange func(r *http.Request, name string, author events.Author) (done string, err error)

// changeAccount is the action of a change, which needs a reason.
func (c *console) changeAccount(change accountChange) action {
	return func(r *http.Request, author events.Author) (outcome, error) {
		name := r.PathValue("name")
		if err := c.checkChange(author); err != nil {
			return outcome{}, err
		}
		if _, err := c.account(name); err != nil {
			return outcome{}, fmt.Errorf("account %.60q: %w", name, err)
		}
		done, err := change(r, name, author)
		if err != nil {
			return outcome{}, err
		}
		to := "/ops/staff/" + name
		if _, err := c.account(name); err != nil {
			to = "/ops/staff"
		}
		return outcome{Text: done, Event: c.newestOf(r, events.PrefixStaff, name), To: to}, nil
	}
}

// checkChange refuses a change without a reason, or where the console cannot make it.
func (c *console) checkChange(author events.Author) error {
	switch {
	case c.Members == nil:
		return errNoMembers
	case author.Reason == "":
		return errors.New("please give a reason: it is kept in the audit")
	}
	return nil
}

func (c *console) changeRole(r *http.Request, name string, author events.Author) (string, error) {
	role := api.Role(r.PostForm.Get("role"))
	return fmt.Sprintf("%s is %s now.", name, role), c.Members.ChangeRole(r.Context(), name, role, author)
}

func (c *console) signOutAll(r *http.Request, name string, author events.Author) (string, error) {
	return fmt.Sprintf("All sessions of %s have ended.", name), c.Members.SignOutAll(r.Context(), name, author)
}

func (c *console) removeTOTP(r *http.Request, name string, author events.Author) (string, error) {
	return fmt.Sprintf("%s signs in without a code now.", name), c.Members.RemoveTOTP(r.Context(), name, author)
}

func (c *console) removeAccount(r *http.Request, name string, author events.Author) (string, error) {
	return fmt.Sprintf("The account %s is removed.", name), c.Members.Remove(r.Context(), name, author)
}

func (c *console) invite(r *http.Request, author events.Author) (secret, error) {
	name, role := strings.TrimSpace(r.PostForm.Get("name")), api.Role(r.PostForm.Get("role"))
	link, err := c.Members.Invite(r.Context(), name, r.PostForm.Get("display_name"), role, author)
	return c.linkFor(r, name, link, err)
}

func (c *console) newLink(r *http.Request, author events.Author) (secret, error) {
	name := r.PathValue("name")
	link, err := c.Members.NewLink(r.Context(), name, author)
	return c.linkFor(r, name, link, err)
}

// linkFor shows a link that was made, unless that failed.
func (c *console) linkFor(r *http.Request, name string, link Invitation, err error) (secret, error) {
	if err != nil {
		return secret{}, err
	}
	origin := strings.TrimSuffix(c.PublicURL, "/")
	if origin == "" {
		origin = "http://" + r.Host
	}
	return secret{Heading: "Link for " + name, Text: "Send this link to " + name + ". With it they set a password, once.", Value: origin + link.Path, Expires: link.Expires,
		Event: c.newestOf(r, events.PrefixStaff, name)}, nil
}

func (c *console) makeKey(r *http.Request, author events.Author) (secret, error) {
	name := strings.TrimSpace(r.PostForm.Get("name"))
	var scopes []api.Permission
	for _, scope := range r.PostForm["scope"] {
		scopes = append(scopes, api.Permission(scope))
	}
	expires, err := expiryOf(r.PostForm.Get("expires"))
	if err != nil {
		return secret{}, err
	}
	key, err := c.Members.MakeKey(r.Context(), name, scopes, expires, author)
	if err != nil {
		return secret{}, err
	}
	return secret{Heading: "API key " + name, Text: "Give this key to the program as OPS_KEY. The shop keeps only its hash.", Value: key, Expires: expires,
		Event: c.newestOf(r, events.PrefixKey, name)}, nil
}

// expiryOf reads the day at whose end a key expires; "" means never.
func expiryOf(day string) (time.Time, error) {
	if day == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return time.Time{}, fmt.Errorf("expiry %.20q: want a day such as 2027-01-31", day)
	}
	return t.AddDate(0, 0, 1).Add(-time.Second), nil
}

func (c *console) revokeKey(r *http.Request, author events.Author) (outcome, error) {
	name := r.PathValue("name")
	if err := c.checkChange(author); err != nil {
		return outcome{}, err
	}
	if err := c.Members.RevokeKey(r.Context(), name, author); err != nil {
		return outcome{}, err
	}
	return outcome{Text: fmt.Sprintf("The API key %s is revoked.", name), Event: c.newestOf(r, events.PrefixKey, name), To: "/ops/staff"}, nil
}

// secret is what a page shows once: the shop keeps only its hash.
type secret struct {
	Heading, Text, Value string
	Expires              time.Time
	Event                uint64 // sequence of the event that the action became; 0 when it is not known
}

// reveal returns the handler of an action of admins whose result is shown once. It does not redirect: a redirect would have to keep
// the secret in a cookie or an address. Reloading the page repeats the form, which is then refused because the name exists.
func (c *console) reveal(do func(*http.Request, events.Author) (secret, error)) http.Handler {
	show := func(w http.ResponseWriter, r *http.Request) error {
		var result secret
		_, err := c.try(r, principalOf(r), func(r *http.Request, author events.Author) (_ outcome, err error) {
			if err = c.checkChange(author); err == nil {
				result, err = do(r, author)
			}
			return outcome{}, err
		})
		if err != nil {
			c.setFlash(w, flash{Bad: true, Text: err.Error()})
			http.Redirect(w, r, back(r), http.StatusSeeOther)
			return nil //nolint:nilerr // the next page shows it
		}
		return c.render(w, r, "secret.html", page{Title: result.Heading, Nav: "Staff", Data: result, Crumbs: []anchor{{"Staff", "/ops/staff"}}})
	}
	limited := c.view(api.ManageStaff, show)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		limited.ServeHTTP(w, r)
	})
}
