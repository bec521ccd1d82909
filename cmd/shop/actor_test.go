package main

import (
	"testing"

	"tillstream/events"
	"tillstream/events/replay"
)

// Every event says who brought it about: the shopper, the holder of the ops token, Stripe, or the shop by itself.
func TestEventsSayWhoBroughtThemAbout(t *testing.T) {
	t.Parallel()
	m := startShop(t, nil)
	m.list(t, "MUG", 1250, 100)
	o := m.buy(t, cart("ada", line{"MUG", 1}))
	m.mailed(t, o.Email, 1)
	want := map[string]string{
		"inventory.stock_adjusted":   events.ActorOps,
		"orders.placed":              events.ActorGuest,
		"inventory.reservation_held": events.ActorSystem,
		"orders.confirmed":           events.ActorSystem,
		"payments.intent_created":    events.ActorSystem,
		"payments.authorized":        events.ActorStripe,
		"notifications.queued":       events.ActorSystem,
	}
	got := map[string]string{}
	err := m.log.Each(t.Context(), replay.Range{}, func(message replay.Message) error {
		e, err := message.Event()
		if _, ok := want[e.Type]; ok && (e.Type != "inventory.stock_adjusted" || e.Subject == events.PrefixStock+"MUG") {
			got[e.Type] = e.Actor
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for kind, actor := range want {
		if got[kind] != actor {
			t.Errorf("%s was brought about by %q, want %q", kind, got[kind], actor)
		}
	}
}
