package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// Row 64 of the fault matrix: one byte of an event in the middle of the log is flipped while the shop is stopped. The shop starts,
// says that it is degraded and names the sequence. The order that the event belongs to is read as before, from the archive, and
// continues: it can be paid although its last event is missing.
func TestDamagedEventIsReadFromTheArchive(t *testing.T) {
	t.Parallel()
	whole := testConfig(t, nil)
	ts := openShop(t, whole)
	ts.list(t, "MUG", 1250, 20)
	bought := ts.buy(t, cart("ada", line{"MUG", 1}))
	waiting := ts.place(t, cart("bob", line{"MUG", 2}))
	ts.checkout(t, waiting)
	ts.mailed(t, ts.buy(t, cart("cyd", line{"MUG", 1})).Email, 1) // its events follow those of bob's order
	before := ts.read(t, waiting)
	ts.verify(t, bought.ID, waiting.ID) // the archive is complete
	ofOrder, ofPayment := ts.history(t, events.PrefixOrder+waiting.ID), ts.history(t, events.PrefixPayment+"*")
	ofStock := ts.history(t, events.PrefixStock+"MUG")
	ts.close(t)

	for name, damaged := range map[string]events.Event{
		"FirstEvent":       ofOrder[0],
		"LastEvent":        ofOrder[len(ofOrder)-1],
		"EventOfAPayment":  ofPayment[len(ofPayment)/2],
		"LastEventOfStock": ofStock[len(ofStock)-1],
	} {
		for stop, killed := range map[string]bool{"Stopped": false, "Killed": true} {
			t.Run(name+stop, func(t *testing.T) {
				t.Parallel()
				config := whole
				config.Data = t.TempDir()
				copyStore(t, whole.Data, config.Data)
				flipEvent(t, config.dir("nats"), damaged.ID, killed)

				ts := openShop(t, config)
				ts.readinessBecomes(t, "degraded", fmt.Sprintf("sequence %d is missing", damaged.Sequence), "ops repair")
				metrics := ts.scrape(t)
				if filled, missing := metrics["tillstream_log_filled_events"], metrics["tillstream_log_missing_events"]; filled != 1 || missing != 0 {
					t.Errorf("got %v filled and %v missing events, want 1 and 0", filled, missing)
				}
				if metrics["tillstream_store_damage"] != 1 {
					t.Errorf("got store damage %v, want 1", metrics["tillstream_store_damage"])
				}
				if diff := cmp.Diff(before, ts.read(t, waiting)); diff != "" {
					t.Errorf("order after the damage (-before +after):\n%s", diff)
				}
				ts.read(t, bought)
				ts.settle(t, waiting)
				ts.charged(t, waiting)
				ts.mailed(t, waiting.Email, 1)
				ts.buy(t, cart("dan", line{"MUG", 1}))
				ts.stockBecomes(t, "MUG", level{15, 15, 0})
			})
		}
	}
}

// flipEvent flips a byte in the id of an event that a stopped broker has stored. After a kill the broker's index is missing.
func flipEvent(t *testing.T, store, eventID string, killed bool) {
	t.Helper()
	dir := filepath.Join(store, "jetstream", "$G", "streams", events.StreamShop, "msgs")
	files, err := filepath.Glob(filepath.Join(dir, "*.blk"))
	if err != nil {
		t.Fatal(err)
	}
	if killed {
		if err := os.Remove(filepath.Join(dir, "index.db")); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		buf, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(buf, []byte(events.HeaderID+": "+eventID)); at >= 0 {
			buf[at+10] ^= 1
			if err := os.WriteFile(file, buf, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("event %s is in none of %v", eventID, files)
}
