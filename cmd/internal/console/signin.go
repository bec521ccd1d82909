package console

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"tillstream/cmd/internal/staff"
	"tillstream/events/api"
)

// signInRoutes registers the pages of people without a session.
func (c *console) signInRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /ops/signin", c.showSignIn)
	mux.HandleFunc("POST /ops/signin", c.signIn)
	mux.HandleFunc("POST /ops/signout", c.signOut)
	mux.HandleFunc("GET /ops/join", c.showJoin)
	mux.HandleFunc("POST /ops/join", c.join)
	mux.Handle("GET /ops/account", c.view(api.ReadAll, c.showAccount))
	mux.Handle("POST /ops/account/password", c.act(api.ReadAll, c.changePassword))
	mux.Handle("GET /ops/account/totp", c.view(api.ReadAll, c.showTOTP))
	mux.Handle("POST /ops/account/totp", c.act(api.ReadAll, c.setTOTP))
}

// signInForm is the data of the sign-in page.
type signInForm struct{ Name, Next, Problem string }

func (c *console) showSignIn(w http.ResponseWriter, r *http.Request) {
	c.showForm(w, r, http.StatusOK, signInForm{Name: r.URL.Query().Get("name"), Next: ownPath(r.URL.Query().Get("next"))})
}

func (c *console) showForm(w http.ResponseWriter, r *http.Request, status int, form signInForm) {
	if err := c.render(w, r, "signin.html", page{Title: "Sign in", Status: status, Data: form}); err != nil {
		c.showFailure(w, r, err)
	}
}

func (c *console) signIn(w http.ResponseWriter, r *http.Request) {
	form, token, expires := signInForm{}, "", time.Time{}
	err := readForm(w, r)
	if err == nil {
		form = signInForm{Name: r.PostForm.Get("name"), Next: ownPath(r.PostForm.Get("next"))}
		token, expires, err = c.Staff.SignIn(r.Context(), form.Name, r.PostForm.Get("password"), r.PostForm.Get("code"), via(r))
	}
	if err != nil {
		status, problem := c.refusal(w, r, err)
		form.Problem = problem
		c.showForm(w, r, status, form)
		return
	}
	http.SetCookie(w, c.cookie(c.cookieName(), token, expires))
	if form.Next == "" {
		form.Next = "/ops"
	}
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
}

// errForm is returned for a request whose form cannot be read.
var errForm = errors.New("the form cannot be read")

// readForm reads a form of at most maxForm bytes.
func readForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("%w: %w", errForm, err)
	}
	return nil
}

// refusal returns the status and the text of the answer to a person without a session whose form was refused. What is wrong inside the
// shop is logged only.
func (c *console) refusal(w http.ResponseWriter, r *http.Request, err error) (status int, problem string) {
	var locked *staff.LockedError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, err.Error()
	case errors.Is(err, errForm):
		return http.StatusBadRequest, err.Error()
	case errors.As(err, &locked):
		wait := math.Ceil(max(1, locked.Until.Sub(c.Now()).Seconds()))
		w.Header().Set("Retry-After", strconv.FormatFloat(wait, 'f', 0, 64))
		return http.StatusTooManyRequests, err.Error()
	case errors.Is(err, staff.ErrRefused):
		return http.StatusUnauthorized, err.Error()
	case errors.Is(err, errTwice), errors.Is(err, staff.ErrNotFound), errors.Is(err, staff.ErrBadPassword):
		return http.StatusUnprocessableEntity, err.Error()
	}
	if r.Context().Err() == nil {
		c.Logger.ErrorContext(r.Context(), "form of a person without a session failed", "path", r.URL.Path, "error", err)
	}
	return http.StatusServiceUnavailable, "This is not possible right now. Please try again in a minute."
}

func (c *console) signOut(w http.ResponseWriter, r *http.Request) {
	if token := c.sessionToken(r); token != "" {
		if err := c.Staff.SignOut(r.Context(), token, via(r)); err != nil {
			c.showFailure(w, r, err)
			return
		}
	}
	http.SetCookie(w, c.cookie(c.cookieName(), "", time.Time{}))
	http.Redirect(w, r, "/ops/signin", http.StatusSeeOther)
}
