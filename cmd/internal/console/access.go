package console

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/text"
)

// The names of the session cookie. A browser accepts a name with the prefix __Host- only over TLS and only for this host, so that
// no other server of the domain can set it (RFC 6265bis §4.1.3.2).
const (
	plainCookie  = "tillstream_session"
	secureCookie = "__Host-" + plainCookie
)

// secure reports whether staff reach the console over TLS.
func (c *console) secure() bool { return strings.HasPrefix(c.PublicURL, "https://") }

func (c *console) cookieName() string {
	if c.secure() {
		return secureCookie
	}
	return plainCookie
}

// cookie returns a cookie that scripts cannot read. It is Lax, not Strict: a link to a page of the console that a colleague sent
// must open the page, and a browser sends no Strict cookie with a link from another site. What changes something is a POST, with
// which no cookie of another site's page arrives, and which the cross-origin protection checks again.
func (c *console) cookie(name, value string, expires time.Time) *http.Cookie {
	cookie := &http.Cookie{Name: name, Value: value, Path: "/", Expires: expires, HttpOnly: true, Secure: c.secure(), SameSite: http.SameSiteLaxMode}
	if value == "" {
		cookie.MaxAge = -1
	}
	return cookie
}

// sessionToken returns the token of the session cookie, "" without one.
func (c *console) sessionToken(r *http.Request) string {
	cookie, err := r.Cookie(c.cookieName())
	if err != nil {
		return ""
	}
	return cookie.Value
}

// via names the console and the client's address, for the events that staff cause.
func via(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return "console " + host
}

// principal returns who sent a request, false without a valid session.
func (c *console) principal(r *http.Request) (api.Principal, bool) {
	token := c.sessionToken(r)
	if token == "" {
		return api.Principal{}, false
	}
	p, ok := c.Access.Staff("Bearer " + token)
	p.Via = via(r)
	return p, ok
}

// forwardSession sends requests with a session cookie on with the session as the bearer token, so that scripts of pages can call
// the staff API. A request that has a token of its own keeps it.
func (c *console) forwardSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token := c.sessionToken(r); token != "" && r.Header.Get("Authorization") == "" {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", "Bearer "+token)
		}
		next.ServeHTTP(w, r)
	})
}

type principalKey struct{}

// principalOf returns who sent the request of a page or an action; the zero value before signing in.
func principalOf(r *http.Request) api.Principal {
	p, _ := r.Context().Value(principalKey{}).(api.Principal)
	return p
}

// viewer handles GET requests of a page. It renders the page, or returns an error and writes nothing.
type viewer func(w http.ResponseWriter, r *http.Request) error

// view returns the handler of a page for staff with a permission. Without a session it asks to sign in.
func (c *console) view(permission api.Permission, show viewer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := c.principal(r)
		if !ok {
			http.Redirect(w, r, "/ops/signin?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), principalKey{}, p))
		if !p.May(permission) {
			c.showFailure(w, r, forbidden(p, permission))
			return
		}
		if err := show(w, r); err != nil {
			c.showFailure(w, r, err)
		}
	})
}

// outcome is the result of an action.
type outcome struct {
	Text  string // what has happened, such as "The lane orders is paused."
	Event uint64 // sequence of the event that the action became; 0 when it has no single one
	Link  anchor // instead of Event: another link to the result
	To    string // the page to show next; default: the page from which the form was sent
}

// action handles a POST. author is who did it, with the field "reason" of the form; an action that needs a reason refuses an empty
// one. The error of an action is shown on the page from which the form was sent.
type action func(r *http.Request, author events.Author) (outcome, error)

// maxForm is the largest form in bytes.
const maxForm = 256 << 10

// act returns the handler of an action for staff with a permission. Cross-origin requests do not reach it: see [New]. It answers
// with a redirect, so that reloading the next page does not repeat the action.
func (c *console) act(permission api.Permission, do action) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		p, ok := c.principal(r)
		if !ok {
			http.Redirect(w, r, "/ops/signin?next="+url.QueryEscape(back(r)), http.StatusSeeOther)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), principalKey{}, p))
		if !p.May(permission) {
			c.showFailure(w, r, forbidden(p, permission))
			return
		}
		done, err := c.try(r, p, do)
		if err != nil {
			c.Logger.InfoContext(r.Context(), "console action refused", "path", r.URL.Path, "actor", p.Actor, "error", err)
			c.setFlash(w, flash{Bad: true, Text: err.Error()})
			http.Redirect(w, r, back(r), http.StatusSeeOther)
			return
		}
		c.setFlash(w, flash{Text: done.Text, Event: done.Event, Link: done.Link})
		if done.To == "" {
			done.To = back(r)
		}
		http.Redirect(w, r, done.To, http.StatusSeeOther)
	})
}

// forbidden is the error of a request without the permission that it needs.
func forbidden(p api.Principal, permission api.Permission) error {
	return fmt.Errorf("%w: %s does not have the permission %s", errForbidden, p.Actor, permission)
}

// try runs an action with the reason of its form.
func (c *console) try(r *http.Request, p api.Principal, do action) (outcome, error) {
	if err := r.ParseForm(); err != nil {
		return outcome{}, fmt.Errorf("read the form: %w", err)
	}
	reason, err := text.Clean(r.PostForm.Get("reason"))
	switch {
	case err != nil:
		return outcome{}, fmt.Errorf("the reason %w", err)
	case len(reason) > events.MaxReason:
		return outcome{}, fmt.Errorf("the reason has %d bytes, want at most %d", len(reason), events.MaxReason)
	}
	return do(r, p.Author(reason))
}

// back returns the page from which a form was sent: its field "back", else the Referer, else the overview. It is always a page of
// the console.
func back(r *http.Request) string {
	if to := ownPath(r.PostFormValue("back")); to != "" {
		return to
	}
	if from, err := url.Parse(r.Referer()); err == nil {
		if to := ownPath(from.RequestURI()); to != "" && from.Host == r.Host {
			return to
		}
	}
	return "/ops"
}

// ownPath returns an address if it is that of a page of the console, else "": a redirect must not lead to another site.
func ownPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Host != "" || u.Scheme != "" || u.Path != "/ops" && !strings.HasPrefix(u.Path, "/ops/") {
		return ""
	}
	return u.RequestURI()
}
