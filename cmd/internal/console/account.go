package console

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"rsc.io/qr"

	"tillstream/events"
)

// errTwice is returned when the second entry of a new password differs from the first.
var errTwice = errors.New("the two new passwords are not the same")

// joinForm is the data of the page on which a new member of staff sets a password. The token of the one-time link is the fragment
// of the address, which browsers do not send: no log of a proxy has it. A script moves it into the form. Without scripts it is
// pasted.
type joinForm struct{ Problem string }

func (c *console) showJoin(w http.ResponseWriter, r *http.Request) {
	c.showJoinForm(w, r, http.StatusOK, "")
}

func (c *console) showJoinForm(w http.ResponseWriter, r *http.Request, status int, problem string) {
	if err := c.render(w, r, "join.html", page{Title: "Join", Status: status, Script: "join.js", Data: joinForm{problem}}); err != nil {
		c.showFailure(w, r, err)
	}
}

func (c *console) join(w http.ResponseWriter, r *http.Request) {
	name, err := c.accept(w, r)
	if err != nil {
		status, problem := c.refusal(w, r, err)
		c.showJoinForm(w, r, status, problem)
		return
	}
	c.setFlash(w, flash{Text: "Your password is set. Sign in as " + name + "."})
	http.Redirect(w, r, "/ops/signin", http.StatusSeeOther)
}

// accept sets the password of a form for the account of the form's link.
func (c *console) accept(w http.ResponseWriter, r *http.Request) (name string, err error) {
	if err := readForm(w, r); err != nil {
		return "", err
	}
	link := strings.TrimSpace(r.PostForm.Get("link"))
	if _, fragment, ok := strings.Cut(link, "#"); ok {
		link = fragment // the whole link was pasted
	}
	password, err := newPassword(r)
	if err != nil {
		return "", err
	}
	return c.Staff.Accept(r.Context(), link, password, via(r))
}

// newPassword returns the new password of a form, which has it twice.
func newPassword(r *http.Request) (string, error) {
	password := r.PostForm.Get("new")
	if password != r.PostForm.Get("again") {
		return "", errTwice
	}
	return password, nil
}

func (c *console) showAccount(w http.ResponseWriter, r *http.Request) error {
	return c.render(w, r, "own_account.html", page{Title: "Account"})
}

func (c *console) changePassword(r *http.Request, _ events.Author) (outcome, error) {
	password, err := newPassword(r)
	if err == nil {
		err = c.Staff.ChangePassword(r.Context(), c.sessionToken(r), r.PostForm.Get("old"), password, via(r))
	}
	return c.accountOutcome(r, "Your password is changed. Your other sessions have ended.", err)
}

// enrolment is the data of the page on which an authenticator app gets its secret. The secret is part of the form: until a code
// proves that the app has it, nothing is stored.
type enrolment struct {
	Secret string
	QR     template.HTML
}

func (c *console) showTOTP(w http.ResponseWriter, r *http.Request) error {
	secret, address, err := c.Staff.NewTOTP(r.Context(), c.sessionToken(r))
	if err != nil {
		return err
	}
	code, err := qrCode(address)
	if err != nil {
		return err
	}
	return c.render(w, r, "totp.html", page{Title: "Authenticator app", Crumbs: []anchor{{"Account", "/ops/account"}}, Data: enrolment{secret, code}})
}

func (c *console) setTOTP(r *http.Request, _ events.Author) (outcome, error) {
	err := c.Staff.SetTOTP(r.Context(), c.sessionToken(r), r.PostForm.Get("secret"), strings.TrimSpace(r.PostForm.Get("code")), via(r))
	return c.accountOutcome(r, "From now on signing in needs a code of your app.", err)
}

// accountOutcome is the result of a change of one's own account.
func (c *console) accountOutcome(r *http.Request, text string, err error) (outcome, error) {
	if err != nil {
		return outcome{}, err
	}
	name := strings.TrimPrefix(principalOf(r).Actor, events.ActorStaff)
	return outcome{Text: text, Event: c.newestOf(r, events.PrefixStaff, name), To: "/ops/account"}, nil
}

// quietZone is the white border that scanners need, in modules (ISO/IEC 18004).
const quietZone = 4

// qrCode draws a text as a QR code.
func qrCode(text string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("draw QR code: %w", err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+quietZone, y+quietZone)
			}
		}
	}
	size := code.Size + 2*quietZone
	// Only numbers go into the markup.
	return template.HTML(fmt.Sprintf(`<svg class="qr" viewBox="0 0 %d %d" role="img" aria-label="QR code for the authenticator app" shape-rendering="crispEdges"><path d="%s"/></svg>`,
		size, size, path.String())), nil
}
