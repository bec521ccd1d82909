package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
)

// ops runs one command line and returns what it wrote. It fails the test if a line of an answer has more than 80 columns.
func ops(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, err bytes.Buffer
	code = run(ctx, args, &terminal{out: &out, err: &err})
	if !slices.Contains(args, "--json") {
		for line := range strings.Lines(out.String()) {
			if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > columns {
				t.Errorf("ops %s: got a line of %d columns, want at most %d:\n%s", strings.Join(args, " "), width, columns, line)
			}
		}
	}
	return code, out.String(), err.String()
}

// words joins the words of an answer by single spaces, because tests do not depend on its line breaks and columns.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// trying returns a function that runs a command line with these flags, and fails the test unless it ends with an exit code and writes
// these texts.
func trying(t *testing.T, flags ...string) func(line string, want int, texts ...string) {
	return func(line string, want int, texts ...string) {
		t.Helper()
		code, stdout, stderr := ops(t, append(strings.Fields(line), flags...)...)
		shown := words(stdout + stderr)
		for _, text := range texts {
			if code != want || !strings.Contains(shown, text) {
				t.Errorf("ops %s: got exit code %d, want %d and %q:\n%s%s", line, code, want, text, stdout, stderr)
			}
		}
	}
}

// broker is a broker with a log to which a test appends events by hand.
type broker struct {
	t         *testing.T
	url       string
	log       *eventlog.Log
	js        jetstream.JetStream
	server    *embedded.NATS
	revisions map[string]uint64
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	return &broker{t: t, url: server.URL(), log: l, js: logtest.JetStream(t, logtest.Connect(t, server)), server: server, revisions: map[string]uint64{}}
}

// publish appends an event to the log.
func (b *broker) publish(id, subject, order, cause string, payload events.Payload) {
	b.t.Helper()
	b.revisions[subject]++
	msg, err := events.Encode(events.Event{ID: id, Source: "test", Time: time.Now(), Subject: subject, Revision: b.revisions[subject],
		CorrelationID: order, CausationID: cause, Payload: payload})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.js.PublishMsg(b.t.Context(), msg); err != nil {
		b.t.Fatal(err)
	}
}

func gbp(amount int64) events.Money { return events.Money{Amount: amount, Currency: "GBP"} }

// rejectedOrder appends the events of an order that is rejected for lack of stock.
func (b *broker) rejectedOrder(id string) {
	b.publish(id+"-1", "orders."+id, id, "", events.OrderPlaced{OrderID: id, Number: "8F3K2-MQD7A", Total: gbp(1250),
		Lines: []events.OrderLine{{SKU: "MUG", Quantity: 2}}})
	short := []events.Shortage{{SKU: "MUG", Requested: 2, Available: 1}}
	b.publish(id+"-2", "inventory.reservations."+id, id, id+"-1", events.ReservationRefused{OrderID: id, Short: short})
	b.publish(id+"-3", "orders."+id, id, id+"-2", events.OrderRejected{OrderOutcome: events.OrderOutcome{OrderID: id}, Reason: events.RejectedNoStock, Short: short})
}

// database starts a database.
func database(t *testing.T) (db *mongo.Database, uri string) {
	t.Helper()
	server, err := embedded.StartMongo(embedded.MongoConfig{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	if db, err = project.Connect(t.Context(), server.URI()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Client().Disconnect(context.WithoutCancel(t.Context())) })
	return db, server.URI()
}

// installation makes a data directory with a ready file that names a broker and a database, as a shop in one process does.
func installation(t *testing.T, nats, mongodb, secrets string) (data, shop string) {
	t.Helper()
	data = t.TempDir()
	shop = filepath.Join(data, "ready.json")
	ready, err := json.Marshal(target.Shop{NATS: nats, MongoDB: mongodb, Data: data})
	if err == nil {
		err = os.WriteFile(shop, ready, 0o600)
	}
	if err == nil && secrets != "" {
		err = os.WriteFile(filepath.Join(data, target.SecretsFile), []byte(secrets), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data, shop
}

// deadLetter opens the dead letter of an event in a lane.
func (b *broker) deadLetter(lane string, sequence uint64) {
	b.t.Helper()
	b.publish(fmt.Sprintf("%s-%d", lane, sequence), fmt.Sprintf("deadletters.%s.%d", lane, sequence), "", "",
		events.DeadLettered{Worker: lane, Sequence: sequence, Subject: "orders.o1", Type: "orders.placed", Error: "no rule", Fingerprint: "abc123", Attempt: 1})
}

// unreadable appends an event of an order with a body that is not JSON.
func (b *broker) unreadable(order string) {
	b.t.Helper()
	msg, err := events.Encode(events.Event{ID: "broken", Source: "test", Time: time.Now(), Subject: "orders." + order, Revision: b.revisions["orders."+order] + 1,
		Payload: events.OrderExpired{}})
	if err != nil {
		b.t.Fatal(err)
	}
	msg.Data = []byte("{")
	if _, err := b.js.PublishMsg(b.t.Context(), msg); err != nil {
		b.t.Fatal(err)
	}
}
