package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"tillstream/cmd/internal/web"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/notifications"
)

// mailPage is the data of mail.html.
type mailPage struct {
	mail
	Content notifications.Content
	Problem string // why the mail cannot be rendered
	Frame   string // address of the HTML part
}

// mailPath is the address of the page of a mail.
func mailPath(order, id string) string {
	return "/ops/messages/" + url.PathEscape(order) + "/" + url.PathEscape(id)
}

// readMail reads a mail from the log, and what it says from the worker that sends mails: it alone has the templates' settings.
func (c *console) readMail(r *http.Request) (data mailPage, err error) {
	order, id := r.PathValue("order"), r.PathValue("message")
	if events.CheckID(order) != nil {
		return data, errNotFound
	}
	n, _, err := notifications.Notifications.Read(r.Context(), c.Log.Log(), order)
	if err != nil {
		return data, err
	}
	m, ok := n.Message(id)
	if !ok {
		return data, fmt.Errorf("mail %.80q of order %s: %w", id, order, eventlog.ErrNotFound)
	}
	data.mail, data.Frame = mail{m, order}, mailPath(order, id)+"/html"
	var refused *apiError
	err = c.callAPI(r, http.MethodGet, "/ops/api/notifications/"+url.PathEscape(order)+"/mails/"+url.PathEscape(id), nil, &data.Content)
	if errors.As(err, &refused) {
		data.Problem, err = refused.Text, nil
	}
	return data, err
}

// showMail shows one mail: its state, and what it says.
func (c *console) showMail(w http.ResponseWriter, r *http.Request) error {
	data, err := c.readMail(r)
	if err != nil {
		return err
	}
	return c.render(w, r, "mail.html", page{Title: "Mail", Nav: "Messages", Data: data, Command: "ops mail " + shellWord(data.Order) + " " + shellWord(data.ID),
		Crumbs: []anchor{{"Messages", "/ops/messages"}}})
}

// mailPolicy lets the HTML part of a mail style itself, as it does in a mail program, and nothing else: no script, no picture, no form,
// no way to leave the frame. Only the console may show it in a frame.
const mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"

// showMailHTML answers with the HTML part of a mail, for a frame without scripts.
func (c *console) showMailHTML(w http.ResponseWriter, r *http.Request) error {
	data, err := c.readMail(r)
	if err != nil {
		return err
	}
	if data.Problem != "" {
		return errNotFound
	}
	w.Header().Set("Content-Security-Policy", mailPolicy)
	w.Header().Set("X-Frame-Options", "SAMEORIGIN")
	web.Send(w, web.Reply{Kind: "text/html; charset=utf-8", Cache: "no-store", Body: []byte(data.Content.HTML)})
	return nil
}
