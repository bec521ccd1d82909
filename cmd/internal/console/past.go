package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"tillstream/cmd/internal/entities"
	"tillstream/events"
	"tillstream/events/lookup"
	"tillstream/events/replay"
)

// pastPage is the data of past.html.
type pastPage struct {
	Entity, At, To string // as typed; To is "" for now
	Refused        string // why there is no answer
	Name           string // the entity as it was found, such as "order:0198…"
	Page           string // of the entity; "" for one without a page
	Diff           replay.StateDiff
	Fields         []replay.Field // of the entity at the moment At
}

// showPast shows the state of an entity at a moment, and what has changed until another moment or until now.
func (c *console) showPast(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	field := func(name string) string { return strings.TrimSpace(query.Get(name)) }
	data := pastPage{Entity: field("entity"), At: field("at"), To: field("to")}
	p := page{Title: "As it was", Nav: "Events", Crumbs: []anchor{{"Events", "/ops/events"}}}
	if data.Entity != "" && data.At != "" {
		p.Command = data.command()
		if err := c.readPast(r, &data); err != nil {
			p.Status, data.Refused = http.StatusBadRequest, err.Error()
			if !refusable(err) {
				return err
			}
		}
	}
	p.Data = data
	return c.render(w, r, "past.html", p)
}

// refusable reports whether an error is about what was typed.
func refusable(err error) bool {
	return errors.Is(err, replay.ErrBadMoment) || errors.Is(err, replay.ErrNotFound) || errors.Is(err, events.ErrBadID)
}

// command is the command of ops that shows the same.
func (p pastPage) command() string {
	if p.To == "" {
		return "ops diff " + shellWord(p.Entity) + " " + shellWord(p.At)
	}
	return "ops diff " + shellWord(p.Entity) + " " + shellWord(p.At) + " " + shellWord(p.To)
}

func (c *console) readPast(r *http.Request, data *pastPage) error {
	ctx, now := r.Context(), c.Now().UTC()
	from, err := c.Log.FindMoment(ctx, data.At, now)
	if err != nil {
		return err
	}
	to := "now"
	if data.To != "" {
		to = data.To
	}
	until, err := c.Log.FindMoment(ctx, to, now)
	if err != nil {
		return err
	}
	entity, err := c.findEntity(r, data.Entity)
	if err != nil {
		return err
	}
	if data.Diff, err = c.Log.Diff(ctx, entity.Kind, entity.ID, from, until); err != nil {
		return err
	}
	data.Name, data.Page = entity.Name(), entityPage(entity.Subject)
	if data.Diff.Before.Value != nil {
		data.Fields, err = replay.Fields(data.Diff.Before.Value)
	}
	return err
}

// findEntity finds an entity by its id, or an order by its number.
func (c *console) findEntity(r *http.Request, name string) (entities.Entity, error) {
	found, notFound := entities.Find(r.Context(), c.Log, name)
	number := lookup.Parse(strings.TrimPrefix(name, "order:"), c.Now().UTC()).Number
	if notFound == nil || number == "" {
		return found, notFound
	}
	var list orderList
	if err := c.callAPI(r, http.MethodGet, "/ops/api/orders?"+url.Values{"q": {number}, "limit": {"2"}}.Encode(), nil, &list); err != nil {
		return found, err
	}
	if len(list.Orders) != 1 || !list.Exact {
		return found, notFound
	}
	return entities.Find(r.Context(), c.Log, "order:"+list.Orders[0].ID)
}
