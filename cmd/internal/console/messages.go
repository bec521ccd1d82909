package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"

	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/notifications"
)

// mails holds the state of every mail in memory, folded from the log. It reads what is new when a page is shown.
type mails struct {
	mu      sync.Mutex
	seen    uint64                                // every event up to this sequence is applied
	byOrder map[string]notifications.Notification // by the id of the order
}

// current reads the new events of mails and returns all mails, those that need attention first, then the newest.
func (m *mails) current(ctx context.Context, log *replay.Reader) ([]mail, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byOrder == nil {
		m.byOrder = map[string]notifications.Notification{}
	}
	err := log.Each(ctx, replay.Range{From: m.seen + 1, Subjects: []string{events.PrefixNotification + "*"}}, func(message replay.Message) error {
		m.apply(message)
		return nil
	})
	var all []mail
	for order, n := range m.byOrder {
		for _, one := range n.Messages {
			all = append(all, mail{Message: one, Order: order})
		}
	}
	slices.SortFunc(all, func(a, b mail) int {
		return cmp.Or(cmp.Compare(b.attention(), a.attention()), b.ChangedAt.Compare(a.ChangedAt), cmp.Compare(a.ID, b.ID))
	})
	return all, err
}

// apply folds one event. One that cannot be folded is skipped: the page of its order shows it.
func (m *mails) apply(message replay.Message) {
	m.seen = message.Sequence
	e, err := message.Event()
	if err != nil || message.Voided() {
		return
	}
	id := strings.TrimPrefix(message.Subject, events.PrefixNotification)
	if n, err := notifications.Apply(m.byOrder[id], e); err == nil {
		m.byOrder[id] = n
	}
}

// mail is a mail about an order.
type mail struct {
	notifications.Message
	Order string
}

// Path is the address of the page of the mail.
func (m mail) Path() string { return mailPath(m.Order, m.ID) }

// attention is greater for a mail that staff have to look at.
func (m mail) attention() int {
	switch m.Status {
	case notifications.StatusFailed, notifications.StatusUnknown:
		return 1
	}
	return 0
}

// messagesData is the data of the list of mails.
type messagesData struct {
	Mails            []mail
	Counts           []mailCount
	Template, Status string
	Templates        []string
	Statuses         []notifications.Status
	Pager            pager
}

// mailCount is how many mails of a template are in a state.
type mailCount struct {
	Template string
	Status   notifications.Status
	Count    int
}

var mailStatuses = []notifications.Status{notifications.StatusFailed, notifications.StatusUnknown, notifications.StatusQueued, notifications.StatusSending, notifications.StatusSent}

func (c *console) showMessages(w http.ResponseWriter, r *http.Request) error {
	all, err := c.mails.current(r.Context(), c.Log)
	if err != nil {
		return err
	}
	data := messagesData{Template: r.URL.Query().Get("template"), Status: r.URL.Query().Get("status"), Pager: pagerOf(r), Statuses: mailStatuses}
	data.count(all)
	selected := slices.DeleteFunc(all, func(m mail) bool {
		return data.Template != "" && m.Template != data.Template || data.Status != "" && string(m.Status) != data.Status
	})
	data.Pager.Total = len(selected)
	first := min(data.Pager.Skip(), len(selected))
	data.Mails = selected[first:min(first+data.Pager.Size, len(selected))]
	return c.render(w, r, "messages.html", page{Title: "Messages", Nav: "Messages", Command: "ops tail --type notifications", Data: data})
}

// count counts the mails by template and state, those that need attention first.
func (d *messagesData) count(all []mail) {
	counts := map[mailCount]int{}
	for _, m := range all {
		counts[mailCount{Template: m.Template, Status: m.Status}]++
		if !slices.Contains(d.Templates, m.Template) {
			d.Templates = append(d.Templates, m.Template)
		}
	}
	slices.Sort(d.Templates)
	for _, status := range mailStatuses {
		for _, template := range d.Templates {
			if n := counts[mailCount{Template: template, Status: status}]; n > 0 {
				d.Counts = append(d.Counts, mailCount{template, status, n})
			}
		}
	}
}

// showMessagesOf leads to the mails on the page of an order.
func (c *console) showMessagesOf(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("order")
	if events.CheckID(id) != nil {
		return errNotFound
	}
	http.Redirect(w, r, "/ops/orders/"+id+"#messages", http.StatusSeeOther)
	return nil
}
