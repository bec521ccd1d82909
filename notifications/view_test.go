package notifications_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/events"
	"tillstream/events/view"
	"tillstream/events/view/viewtest"
	"tillstream/notifications"
)

func TestViewShowsWhatNeedsAttention(t *testing.T) {
	t.Parallel()
	p := open(t)
	db := viewtest.Database(t)
	s := p.service(t)
	_, m := p.queued(t, refund("o1"))
	p.dies(t, m)
	_, fine := p.queued(t, confirmation("o2"))
	p.runs(t, s)

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, v := range s.Views() {
		running.Go(func() {
			if err := view.New(p.log, v, view.Config{DB: db, Window: time.Millisecond}).Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	defer running.Wait()
	defer cancel()

	p.becomes(t, "o1", 0, notifications.StatusUnknown)
	p.becomes(t, "o2", 0, notifications.StatusSent)
	type stored struct {
		ID  string `bson:"_id"`
		Doc struct {
			OrderID  string                  `json:"order_id"`
			Status   notifications.Status    `json:"status"`
			Messages []notifications.Message `json:"messages"`
		} `bson:"doc"`
	}
	for id, want := range map[string]struct {
		status  notifications.Status
		message string
	}{"o1": {notifications.StatusUnknown, m.MessageID}, "o2": {notifications.StatusSent, fine.MessageID}} {
		var got stored
		waitFor(t, id+" is in the collection as "+string(want.status), func() bool {
			err := db.Collection(notifications.CollectionNotifications).FindOne(ctx, bson.D{{Key: "doc.status", Value: want.status}}).Decode(&got)
			return err == nil && got.ID == id
		})
		if len(got.Doc.Messages) != 1 {
			t.Fatalf("%s: %d messages", id, len(got.Doc.Messages))
		}
		if diff := cmp.Diff([]string{id, want.message}, []string{got.Doc.OrderID, got.Doc.Messages[0].ID}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	waitFor(t, "the archive has all events", func() bool {
		head, err := view.ReadArchiveHead(ctx, db.Collection(notifications.CollectionArchive), events.StreamNotifications)
		return err == nil && head.Last == p.length(t)
	})
}
