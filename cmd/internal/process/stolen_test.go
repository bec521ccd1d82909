package process_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// intruder has the password of the payments worker, and tries to store events of orders.
type intruder struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	forged uint64 // sequence of a forged event on a subject of payments
}

// attacks are ways to store a message on a subject that the user may not publish to: each aims an answer of the broker, or the
// deliveries of a consumer, at the subject.
var attacks = map[string]func(t *testing.T, i *intruder, target string){
	"publish": func(t *testing.T, i *intruder, target string) { proc.Check(t, i.conn.Publish(target, []byte("{}"))) },
	"direct get": func(t *testing.T, i *intruder, target string) {
		i.request(t, "$JS.API.DIRECT.GET.SHOP", target, map[string]any{"seq": i.forged})
	},
	"direct get by subject": func(t *testing.T, i *intruder, target string) {
		i.request(t, "$JS.API.DIRECT.GET.SHOP.payments.forged", target, nil)
	},
	"get": func(t *testing.T, i *intruder, target string) {
		i.request(t, "$JS.API.STREAM.MSG.GET.SHOP", target, map[string]any{"seq": i.forged})
	},
	"pull": func(t *testing.T, i *intruder, target string) {
		i.consumer(t, events.StreamShop, "pull", jetstream.ConsumerConfig{FilterSubject: "payments.forged", AckPolicy: jetstream.AckNonePolicy})
		i.request(t, "$JS.API.CONSUMER.MSG.NEXT.SHOP.pull", target, map[string]any{"batch": 1, "expires": time.Minute})
	},
	"push from the log": func(t *testing.T, i *intruder, target string) {
		i.push(t, events.StreamShop, "payments.forged", target)
	},
	"push from the dead letters": func(t *testing.T, i *intruder, target string) {
		proc.Check(t, i.conn.PublishMsg(forgery("deadletters.payments.1")))
		i.push(t, events.StreamDeadLetters, "deadletters.payments.1", target)
	},
	"push from the leases": func(t *testing.T, i *intruder, target string) {
		proc.Check(t, i.conn.PublishMsg(forgery("$KV.leases.payments")))
		i.push(t, "KV_leases", "$KV.leases.payments", target)
	},
}

// forgery returns a message with the envelope of an event that confirms an order.
func forgery(subject string) *nats.Msg {
	header := nats.Header{"ce-specversion": {"1.0"}, events.HeaderID: {"forged"},
		events.HeaderType: {events.OrderConfirmed{}.EventType()}, events.HeaderSource: {"orders"}}
	return &nats.Msg{Subject: subject, Header: header, Data: []byte(`{"order_id":"victim"}`)}
}

// request asks the broker for something whose answer goes to another subject.
func (i *intruder) request(t *testing.T, subject, answerTo string, body any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil || body == nil {
		data = nil
	}
	proc.Check(t, errors.Join(err, i.conn.PublishRequest(subject, answerTo, data)))
}

func (i *intruder) consumer(t *testing.T, stream, name string, config jetstream.ConsumerConfig) {
	t.Helper()
	config.Name, config.InactiveThreshold, config.MemoryStorage = name, time.Minute, true
	if _, err := i.js.CreateConsumer(t.Context(), stream, config); err != nil {
		t.Fatal(err)
	}
}

// push creates a consumer that delivers to a subject. The client library creates no such consumers, so the request is made by hand.
func (i *intruder) push(t *testing.T, stream, filter, deliverTo string) {
	t.Helper()
	name := "push_" + strings.ToLower(stream)
	data, err := json.Marshal(map[string]any{"stream_name": stream, "action": "create", "config": map[string]any{"name": name, "filter_subject": filter,
		"deliver_subject": deliverTo, "ack_policy": "none", "deliver_policy": "all", "mem_storage": true, "num_replicas": 1}})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := i.conn.Request(fmt.Sprintf("$JS.API.CONSUMER.CREATE.%s.%s.%s", stream, name, filter), data, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("push consumer on %s: %s", stream, answer.Data)
}

// storeForgery stores a forged event on a subject of payments, as the payments worker may.
func (i *intruder) storeForgery(t *testing.T) {
	t.Helper()
	ack, err := i.js.PublishMsg(t.Context(), forgery("payments.forged"))
	if err != nil {
		t.Fatal(err)
	}
	i.forged = ack.Sequence
}

// Row 74 of the fault matrix, for a stolen password: with the password of the payments worker no order can be confirmed, in no way
// that is known, when each worker has an account of its own. Within one account some of the attacks succeed, which shows that they
// are real.
func TestStolenPasswordConfirmsNoOrder(t *testing.T) {
	for _, c := range []struct {
		configuration string
		succeed       []string // attacks that store a message on the subject of an order
	}{
		{oneAccount, []string{"direct get", "direct get by subject", "get"}},
		{accountEach, nil},
	} {
		t.Run(c.configuration, func(t *testing.T) {
			broker := startProductionBroker(t, c.configuration)
			shop, err := eventlog.Open(t.Context(), connectAs(t, broker, "orders"), eventlog.Config{Source: "orders", Patience: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(shop.Close)
			conn := connectAs(t, broker, "payments")
			i := &intruder{conn: conn, js: logtest.JetStream(t, conn)}
			i.storeForgery(t)
			for name, attack := range attacks {
				attack(t, i, orderOf(name))
			}
			for _, name := range c.succeed {
				proc.WaitFor(t, "the attack by "+name+" succeeds", 20*time.Second, func() bool { return stored(t, shop, orderOf(name)) })
			}
			i.awaitAnswers(t)
			for name := range attacks {
				if want := slices.Contains(c.succeed, name); stored(t, shop, orderOf(name)) != want {
					t.Errorf("attack by %s: stored %v, want %v", name, !want, want)
				}
			}
		})
	}
}

// orderOf returns the subject at which an attack aims.
func orderOf(attack string) string { return events.PrefixOrder + strings.ReplaceAll(attack, " ", "-") }

// stored reports whether the log has a message on a subject.
func stored(t *testing.T, l *eventlog.Log, subject string) bool {
	t.Helper()
	shop, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	_, err = shop.GetLastMsgForSubject(t.Context(), subject)
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// awaitAnswers waits until the broker has answered requests that were made after the attacks, so that an attack which has stored
// nothing by then has failed.
func (i *intruder) awaitAnswers(t *testing.T) {
	t.Helper()
	for range 100 {
		for _, subject := range []string{"$JS.API.DIRECT.GET.SHOP.payments.forged", "$JS.API.CONSUMER.INFO.SHOP.pull", "$JS.API.STREAM.INFO.SHOP"} {
			if _, err := i.conn.Request(subject, nil, 10*time.Second); err != nil {
				t.Fatalf("request to %s: %v", subject, err)
			}
		}
	}
}

// Row 74 of the fault matrix: the broker refuses a connection without a password, or with a wrong one.
func TestStrangerIsRefusedByTheBroker(t *testing.T) {
	for _, configuration := range []string{oneAccount, accountEach} {
		broker := startProductionBroker(t, configuration)
		for _, user := range []string{"", "orders@", "orders:wrong@", "stranger:secret@"} {
			conn, err := nats.Connect(strings.Replace(broker.ClientURL(), "nats://", "nats://"+user, 1))
			if !errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("%s: connect as %q: got %v, want an authorization error", configuration, user, err)
			}
			if conn != nil {
				conn.Close()
			}
		}
	}
}

// A broker continues with its streams when its configuration is changed to an account for each worker, and back.
func TestConfigurationOfTheBrokerIsChanged(t *testing.T) {
	dir := t.TempDir()
	for n, configuration := range []string{oneAccount, accountEach, oneAccount} {
		broker := startProductionBrokerIn(t, configuration, dir)
		l, err := eventlog.Open(t.Context(), connectAs(t, broker, "orders"), eventlog.Config{Source: "orders", Patience: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		entity := counted(events.PrefixOrder)
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return entity.Append(tx, "kept", ownFact[events.PrefixOrder]) }); err != nil {
			t.Fatal(err)
		}
		if got, _, err := entity.Read(t.Context(), l, "kept"); err != nil || got != n+1 {
			t.Errorf("%s: got %d events (%v), want %d", configuration, got, err, n+1)
		}
		l.Close()
		broker.Shutdown()
		broker.WaitForShutdown()
	}
}
