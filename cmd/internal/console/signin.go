package console

import (
	"net/http"
	"time"
)

// signInRoutes registers the pages of people without a session.
func (c *console) signInRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /ops/signin", c.showSignIn)
	mux.HandleFunc("POST /ops/signin", c.signIn)
	mux.HandleFunc("POST /ops/signout", c.signOut)
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
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	form := signInForm{Name: r.PostFormValue("name"), Next: ownPath(r.PostFormValue("next"))}
	token, expires, err := c.Staff.SignIn(r.Context(), form.Name, r.PostFormValue("password"), r.PostFormValue("code"), via(r))
	if err != nil {
		form.Problem = err.Error()
		c.showForm(w, r, http.StatusUnauthorized, form)
		return
	}
	http.SetCookie(w, c.cookie(c.cookieName(), token, expires))
	if form.Next == "" {
		form.Next = "/ops"
	}
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
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
