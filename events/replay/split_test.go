package replay_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"tillstream/events"
	"tillstream/events/replay"
)

// Row 67 of the fault matrix: a redrive of a dead letter about several messages redrives those that can be read now, each with a dead letter of its own. The
// others stay in the dead letter until operators discard it.
func TestRedriveOfSeveralMessagesRedrivesTheReadableOnes(t *testing.T) {
	t.Parallel()
	c := newFailingShop(t, 0)
	c.fixed.Store(true)
	for i := range 6 {
		id := fmt.Sprintf("o%d", i+1)
		if i < 3 {
			c.append(id, "orders."+id, id, "", events.OrderExpired{})
		} else if _, err := c.js.PublishMsg(t.Context(), &nats.Msg{Subject: "orders." + id, Data: []byte("garbage")}); err != nil {
			t.Fatal(err)
		}
	}
	// 3 was handled at once; 1, 2 and from 4 on were not.
	c.append("dead", "deadletters.failing.1", "", "", events.DeadLettered{Worker: "failing", Sequence: 1, Subject: "orders.o1", Attempt: 1,
		Error: "5 messages cannot be read", Fingerprint: "abc", Runs: []events.Run{{From: 1, To: 2}, {From: 4, To: 6}}})
	group := c.open(t, replay.Selection{Numbers: []uint64{1}})
	if messages, err := c.Events(t.Context(), group[0]); err != nil || len(messages) != 2 || messages[1].Subject != "orders.o2" {
		t.Errorf("messages that a redrive would handle: got %d, %v; want those of o1 and o2", len(messages), err)
	}
	redrive, err := c.Redrive(t.Context(), group, events.Author{Actor: "key:ops", Reason: "fixed"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Await(t.Context(), redrive, func(int) {}); err != nil {
		t.Fatal(err)
	}
	got := map[uint64]string{}
	var left []events.Run
	for _, d := range c.letters(t) {
		got[d.Sequence] = string(d.State)
		if d.State == replay.StateOpen {
			left = d.Runs
			if !strings.HasPrefix(d.Error, "3 messages cannot be read; the first: not an event") {
				t.Errorf("error of the dead letter: got %q", d.Error)
			}
		}
	}
	if diff := cmp.Diff(map[uint64]string{1: "redriven", 2: "redriven", 4: "open"}, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]events.Run{{From: 4, To: 6}}, left); diff != "" {
		t.Errorf("messages left (-want +got):\n%s", diff)
	}
	again, err := c.Redrive(t.Context(), c.open(t, replay.Selection{All: true}), events.Author{Actor: "key:ops", Reason: "try"})
	if err != nil || len(again.Letters) != 1 || again.Waits(again.Letters[0]) {
		t.Errorf("redrive of unreadable messages: got %+v, %v; want the dead letter, which waits for nothing", again.Letters, err)
	}
	if n, err := c.Discard(t.Context(), c.open(t, replay.Selection{All: true}), events.Author{Actor: "key:ops", Reason: "garbage"}); err != nil || n != 1 {
		t.Errorf("discard: got %d, %v; want 1", n, err)
	}
}
