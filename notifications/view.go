package notifications

import (
	"slices"
	"time"

	"tillstream/events"
	"tillstream/events/view"
)

// Names of the collections.
const (
	CollectionNotifications = "notifications"
	CollectionArchive       = "notifications_archive"
)

// document is an order's messages as stored and as staff see them.
type document struct {
	OrderID   string    `json:"order_id"`
	Status    Status    `json:"status"`     // of the message that most needs somebody's attention
	ChangedAt time.Time `json:"changed_at"` // of the message that changed last
	Messages  []Message `json:"messages"`
}

// attention ranks the states: what staff should look at comes last.
var attention = []Status{StatusSent, StatusQueued, StatusSending, StatusFailed, StatusUnknown}

func documentOf(id string, n Notification) document {
	d := document{OrderID: id, Status: StatusSent, Messages: slices.Clone(n.Messages)}
	for _, m := range n.Messages {
		if slices.Index(attention, m.Status) > slices.Index(attention, d.Status) {
			d.Status = m.Status
		}
		if m.ChangedAt.After(d.ChangedAt) {
			d.ChangedAt = m.ChangedAt
		}
	}
	return d
}

// Views is what is remembered for staff: one document per order, found by what needs attention.
func (s *Service) Views() []view.View { return Views() }

// Views is what is remembered, for those who check it.
func Views() []view.View {
	return []view.View{{
		Name: "notifications-view", Stream: events.StreamNotifications, Archive: CollectionArchive,
		Collections: []view.Collection{view.Of(CollectionNotifications, Notifications,
			func(id string, n Notification) any { return documentOf(id, n) },
			view.Index{Keys: []string{"doc.status", "-doc.changed_at"}})},
	}}
}
