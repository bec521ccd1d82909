package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"tillstream/events"
	"tillstream/events/lookup"
	"tillstream/events/replay"
)

// hit is something that a search has found besides orders.
type hit struct{ Kind, Text, To string }

// searchData is the data of the page with the results of a search.
type searchData struct {
	orderList
	Query string
	Hits  []hit
}

// showSearch finds what a text names. One hit is opened, several are listed.
func (c *console) showSearch(w http.ResponseWriter, r *http.Request) error {
	data := searchData{Query: strings.TrimSpace(r.URL.Query().Get("q"))}
	if data.Query != "" {
		var err error
		if data.Hits, err = c.hits(r.Context(), lookup.Parse(data.Query, c.Now().UTC())); err != nil {
			return err
		}
		search := url.Values{"q": {data.Query}, "limit": {"20"}}
		if err := c.callAPI(r, http.MethodGet, "/ops/api/orders?"+search.Encode(), nil, &data.orderList); err != nil {
			return err
		}
	}
	if to := data.only(); to != "" {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	return c.render(w, r, "search.html", page{Title: "Search", Query: data.Query, Command: "ops orders --search " + shellWord(data.Query), Data: data})
}

// only returns the page of the only hit, "" if there are several or none.
func (d searchData) only() string {
	switch {
	case len(d.Hits) == 1 && len(d.Orders) == 0:
		return d.Hits[0].To
	case len(d.Orders) == 1 && (d.Exact || len(d.Hits) == 0):
		return "/ops/orders/" + d.Orders[0].ID
	}
	return ""
}

// hits finds events, payments and items.
func (c *console) hits(ctx context.Context, q lookup.Query) (hits []hit, err error) {
	add := func(kind, text, to string, found error) {
		switch {
		case found == nil:
			hits = append(hits, hit{kind, text, to})
		case !errors.Is(found, replay.ErrNotFound):
			err = found
		}
	}
	if q.Sequence > 0 {
		_, found := c.Log.Get(ctx, q.Sequence)
		add("Event", fmt.Sprintf("sequence %d", q.Sequence), eventPage(q.Sequence), found)
	}
	if q.UUID != "" {
		_, found := c.Log.Newest(ctx, events.PrefixPayment+q.UUID)
		add("Payment", q.UUID, "/ops/payments/"+q.UUID, found)
		sequence, found := c.eventWithID(ctx, q.UUID)
		add("Event", q.UUID, eventPage(sequence), found)
	}
	for _, sku := range []string{q.SKU, strings.ToUpper(q.SKU)} {
		subject, bad := events.Subject(events.PrefixItem, sku)
		if bad != nil || len(hits) > 0 {
			continue
		}
		_, found := c.Log.Newest(ctx, subject)
		add("Item", sku, "/ops/items/"+url.PathEscape(sku), found)
	}
	return hits, err
}

// The time between the making of an event id and the storing of the event. The clocks of shop and broker may differ.
const (
	clockSkew   = 5 * time.Second
	storedAfter = 30 * time.Second
)

// eventWithID returns the sequence of the event with an id, or [replay.ErrNotFound]. The id has the time at which it was made (UUID
// version 7), so only a part of the log is read.
func (c *console) eventWithID(ctx context.Context, id string) (sequence uint64, err error) {
	parsed, err := uuid.Parse(id)
	if err != nil || parsed.Version() != 7 {
		return 0, replay.ErrNotFound
	}
	seconds, nanos := parsed.Time().UnixTime()
	made := time.Unix(seconds, nanos)
	if c.Now().Add(clockSkew).Before(made) {
		return 0, replay.ErrNotFound
	}
	err = c.Log.Each(ctx, replay.Range{Since: made.Add(-clockSkew)}, func(m replay.Message) error {
		switch {
		case m.Header.Get(events.HeaderID) == id:
			sequence = m.Sequence
			return errReached
		case m.Stored.After(made.Add(storedAfter)):
			return errReached
		}
		return nil
	})
	if sequence == 0 && (err == nil || errors.Is(err, errReached)) {
		return 0, replay.ErrNotFound
	}
	if errors.Is(err, errReached) {
		err = nil
	}
	return sequence, err
}

// errReached ends a read early.
var errReached = errors.New("reached")
