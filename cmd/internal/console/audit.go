package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tillstream/events/replay"
)

// auditPage is the data of audit.html.
type auditPage struct {
	Actor, Type, Entity, Since, Until string // the filter as it was typed
	Filtered                          bool
	Actions                           []replay.Action
	Next, First                       string // addresses of the next and the first page; "" where there is none
	Refused                           string // why the filter cannot be used
	Now                               time.Time
}

// showAudit shows what staff and API keys did, newest first.
func (c *console) showAudit(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	field := func(name string) string { return strings.TrimSpace(query.Get(name)) }
	data := auditPage{Actor: field("actor"), Type: field("type"), Entity: field("entity"), Since: field("since"), Until: field("until"), Now: c.Now().UTC()}
	data.Filtered = data.Actor+data.Type+data.Entity+data.Since+data.Until != ""
	p := page{Title: "Audit", Nav: "Audit", Command: data.command()}
	filter, before, err := data.filter(field("before"))
	if err != nil {
		p.Status, data.Refused = http.StatusBadRequest, err.Error()
		p.Data = data
		return c.render(w, r, "audit.html", p)
	}
	var next replay.Place
	if data.Actions, next, err = c.trail.Page(r.Context(), filter, before, pageSize); err != nil {
		return err
	}
	if next != (replay.Place{}) {
		data.Next = with(query, "before", next.String())
	}
	if before != (replay.Place{}) {
		data.First = with(query, "before", "")
	}
	p.Data = data
	return c.render(w, r, "audit.html", p)
}

// with returns the address of the audit with another value of one field.
func with(query url.Values, name, value string) string {
	changed := url.Values{}
	for n, values := range query {
		changed[n] = values
	}
	changed.Del(name)
	if value != "" {
		changed.Set(name, value)
	}
	return "/ops/audit?" + changed.Encode()
}

func (a auditPage) filter(before string) (f replay.ActionFilter, place replay.Place, err error) {
	f = replay.ActionFilter{Actor: a.Actor, Type: a.Type, Entity: a.Entity}
	if f.Since, err = replay.ParseWhen(a.Since, a.Now); err != nil {
		return f, place, err
	}
	if f.Until, err = replay.ParseWhen(a.Until, a.Now); err != nil {
		return f, place, err
	}
	if err = f.Check(); err != nil {
		return f, place, err
	}
	place, err = replay.ParsePlace(before)
	return f, place, err
}

// command returns the ops command that lists the same.
func (a auditPage) command() string {
	command := "ops audit"
	for _, flag := range []struct{ name, value string }{{"actor", a.Actor}, {"type", a.Type}, {"entity", a.Entity}, {"since", a.Since}, {"until", a.Until}} {
		if flag.value != "" {
			command += fmt.Sprintf(" --%s %s", flag.name, shellWord(flag.value))
		}
	}
	return command
}

// shellWord quotes a text for a shell, if it has to be.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:/@,+=", r))
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
