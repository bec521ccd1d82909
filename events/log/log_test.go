package log_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Row 16 of the fault matrix: Open refuses a stream whose configuration was changed.
func TestOpenRefusesChangedStream(t *testing.T) {
	t.Parallel()
	broker := logtest.Server(t)
	l := logtest.OpenOn(t, broker)
	stream, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Discard = jetstream.DiscardOld
	if _, err := l.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	_, err = eventlog.Open(t.Context(), logtest.Connect(t, broker), eventlog.Config{Source: "test"})
	if !errors.Is(err, eventlog.ErrDrift) {
		t.Fatalf("open: got %v, want ErrDrift", err)
	}
	t.Log(err)
}

// With MustExist, Open creates nothing on an empty broker, and opens an existing shop.
func TestOpenWithMustExistCreatesNothing(t *testing.T) {
	t.Parallel()
	broker := logtest.Server(t)
	_, err := eventlog.Open(t.Context(), logtest.Connect(t, broker), eventlog.Config{Source: "ops", MustExist: true})
	if !errors.Is(err, eventlog.ErrNoShop) {
		t.Errorf("open on an empty broker: got %v, want ErrNoShop", err)
	}
	mustAdd(t, logtest.OpenOn(t, broker), "a")
	tool := logtest.OpenOn(t, broker, func(c *eventlog.Config) { c.Source, c.MustExist = "ops", true })
	expectTally(t, tool, "a", tally{1, 1})
}

// A stream of a new cluster has no leader for a moment, and nothing answers a message to it. Open waits for the leader, so the
// client's error for that is temporary.
func TestPublishWithoutAnswerIsTemporary(t *testing.T) {
	t.Parallel()
	js := logtest.JetStream(t, logtest.Connect(t, logtest.Server(t)))
	_, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "orders.1"}, jetstream.WithRetryAttempts(0))
	if err == nil || !eventlog.IsTemporary(err) {
		t.Errorf("publish without a stream: got %v, want a temporary error", err)
	}
}

func TestAppendOnClosedConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	conn := logtest.Connect(t, logtest.Server(t))
	l := logtest.OpenOver(t, conn)
	conn.Close()
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, "a", 1) })
	if !errors.Is(err, eventlog.ErrUnavailable) || !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("append: got %v, want ErrUnavailable and ErrConnectionClosed", err)
	}
}

// workerSubjects are the subjects to which a worker must be allowed to publish when it appends under "orders.". Listing a
// bucket, and the end of a watch, deletes a consumer: without that permission the client waits 5 s for an answer.
func workerSubjects() []string {
	subjects := []string{events.PrefixOrder + ">", "$KV.checkpoints.>", "$KV.leases.>", "$KV.topology.>", "$JS.API.STREAM.MSG.GET.KV_topology", "$JS.API.CONSUMER.MSG.NEXT.SHOP.*",
		"$JS.API.CONSUMER.DELETE.KV_checkpoints.*", "$JS.API.CONSUMER.DELETE.KV_leases.*"}
	for _, stream := range []string{events.StreamShop, events.StreamDeadLetters, "KV_checkpoints", "KV_leases", "KV_topology"} {
		subjects = append(subjects, "$JS.API.STREAM.INFO."+stream, "$JS.API.DIRECT.GET."+stream, "$JS.API.DIRECT.GET."+stream+".>",
			"$JS.API.CONSUMER.CREATE."+stream+".>")
	}
	return subjects
}

// restricted returns the log of a worker whom the broker lets append only under "orders.", and the log of an operator with
// all permissions. The worker's own configuration lets it append anywhere. violations collects the broker's errors.
func restricted(t *testing.T) (worker, operator *eventlog.Log, violations *logLines) {
	t.Helper()
	broker := startServer(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "operator", Password: "secret"},
			{Username: "worker", Password: "secret", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: workerSubjects()}, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}},
		}
	})
	as := func(user string) string { return strings.Replace(broker.ClientURL(), "://", "://"+user+":secret@", 1) }
	operator = logtest.OpenOver(t, logtest.ConnectTo(t, as("operator")))
	conn := logtest.ConnectTo(t, as("worker"))
	violations = &logLines{}
	conn.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { fmt.Fprintln(violations, err) })
	return logtest.OpenOver(t, conn), operator, violations
}

// expectDenied asserts that an append was refused for a missing permission, long before its patience ended.
func expectDenied(t *testing.T, began time.Time, err error) {
	t.Helper()
	if !errors.Is(err, eventlog.ErrNotAllowed) || !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("append: got %v, want ErrNotAllowed and ErrUnavailable", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the refusal took %s, want at most 20 s", took)
	}
}

// The broker reports a forbidden publish only to the connection. The writer is nevertheless answered at once.
func TestForbiddenAppendFailsAtOnce(t *testing.T) {
	t.Parallel()
	order := func(tx *eventlog.Tx) error { return confirmations.Append(tx, "o", events.OrderConfirmed{}) }
	stock := func(id string) func(*eventlog.Tx) error {
		return func(tx *eventlog.Tx) error { return add(tx, id, 1) }
	}
	for name, parts := range map[string][]func(*eventlog.Tx) error{
		"One":             {stock("a")},
		"EncodedID":       {stock("a b/c%")},
		"Batch":           {stock("a"), stock("b"), stock("c")},
		"FirstOfBatch":    {stock("a"), order},
		"MiddleOfBatch":   {order, stock("a"), order},
		"LastOfBatch":     {order, stock("a")},
		"JournalInABatch": {order, func(tx *eventlog.Tx) error { return webhooks.Append(tx, events.WebhookReceived{}) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			worker, operator, _ := restricted(t)
			began := time.Now()
			expectDenied(t, began, worker.Do(t.Context(), func(tx *eventlog.Tx) error {
				var problem error
				for _, part := range parts {
					problem = errors.Join(problem, part(tx))
				}
				return problem
			}))
			expectStored(t, operator, 0)
			if err := worker.Do(t.Context(), order); err != nil {
				t.Errorf("allowed append after the forbidden one: %v", err)
			}
		})
	}
}

// Of requests that are committed together, the allowed ones are stored once and only the forbidden one fails, both when they
// are few and published one by one, and when they are many and form one batch.
func TestForbiddenRequestFailsAlone(t *testing.T) {
	t.Parallel()
	for _, others := range []int{4, 60} {
		t.Run(fmt.Sprint(others), func(t *testing.T) {
			t.Parallel()
			worker, operator, _ := restricted(t)
			commit := func(name string, withForbidden bool) (allowed []int, forbidden int, outcome func(int) error) {
				tx := worker.Begin(t.Context())
				for i := range others {
					if withForbidden && i == others/2 {
						forbidden = tx.Unit()
						if err := add(tx, name, 1); err != nil {
							t.Fatal(err)
						}
					}
					allowed = append(allowed, tx.Unit())
					if err := confirmations.Append(tx, fmt.Sprintf("%s-%d", name, i), events.OrderConfirmed{}); err != nil {
						t.Fatal(err)
					}
				}
				return allowed, forbidden, tx.CommitEach()
			}
			commit("warm", false) // after many requests the committer waits for as many
			began := time.Now()
			allowed, forbidden, outcome := commit("mixed", true)
			expectDenied(t, began, outcome(forbidden))
			for _, unit := range allowed {
				if err := outcome(unit); err != nil {
					t.Errorf("allowed request %d: %v", unit, err)
				}
			}
			expectStored(t, operator, 2*others)
			if _, _, err := tallies.Read(t.Context(), operator, "mixed"); !errors.Is(err, eventlog.ErrNotFound) {
				t.Errorf("read the forbidden entity: got %v, want ErrNotFound", err)
			}
		})
	}
}

// The permissions of a worker suffice for everything that the log does.
func TestWorkerPermissionsAreSufficient(t *testing.T) {
	t.Parallel()
	worker, operator, violations := restricted(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must := func(operation string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", operation, err)
		}
	}
	for range 20 { // more events than are read one by one
		must("append as the operator", operator.Do(ctx, func(tx *eventlog.Tx) error { return errors.Join(add(tx, "a", 1), add(tx, "b", 1)) }))
	}
	must("append", worker.Do(ctx, func(tx *eventlog.Tx) error {
		if _, err := tallies.Load(tx, "a"); err != nil {
			return err
		}
		return confirmations.Append(tx, "o", events.OrderConfirmed{}, events.OrderConfirmed{})
	}))
	_, err := worker.First(ctx, events.PrefixStock+"a")
	must("read the first event", err)
	end, err := worker.End(ctx, 0)
	must("read the end", err)
	_, err = worker.Get(ctx, end)
	must("read the last message", err)
	_, err = worker.Snapshot(ctx, []string{events.PrefixOrder + "*"}, func(eventlog.Message) error { return nil })
	must("snapshot", err)
	errEnough := errors.New("enough")
	if err := worker.Follow(ctx, 1, func(m eventlog.Message) error {
		if m.Sequence == end {
			return errEnough
		}
		return nil
	}); !errors.Is(err, errEnough) {
		t.Errorf("follow: got %v, want the error of the function", err)
	}
	lease, ok, err := worker.Acquire(ctx, "lane", "worker")
	if must("acquire", err); !ok {
		t.Error("acquire: the lane is not free")
	}
	must("renew", worker.Renew(ctx, &lease))
	_, err = worker.Leases(ctx)
	must("list leases", err)
	watching, stop := context.WithCancel(ctx)
	must("watch leases", worker.WatchLeases(watching, func(eventlog.Lease) { stop() }))
	must("release", worker.Release(ctx, lease))
	checkpoint, err := worker.LoadCheckpoint(ctx, "lane")
	must("load checkpoint", err)
	must("save checkpoint", worker.SaveCheckpoint(ctx, &checkpoint))
	must("save checkpoint again", worker.SaveCheckpoint(ctx, &checkpoint))
	_, err = worker.Checkpoints(ctx)
	must("list checkpoints", err)
	if text := violations.String(); text != "" {
		t.Errorf("permission violations: got\n%s\nwant none", text)
	}
}

// Row 79 of the fault matrix: a process that starts and finds the stream of dead letters missing beside a log with events says so.
// In a new installation it does not.
func TestMissingStreamBesideALogIsReported(t *testing.T) {
	t.Parallel()
	server, lines := logtest.Server(t), &logLines{}
	open := func() *eventlog.Log {
		return logtest.OpenOn(t, server, func(c *eventlog.Config) { c.Logger = lines.logger() })
	}
	l := open()
	mustAdd(t, l, "a")
	open()
	if strings.Contains(lines.String(), "was missing") {
		t.Errorf("complete broker: got the log lines %s", lines)
	}
	if err := l.JetStream().DeleteStream(t.Context(), events.StreamDeadLetters); err != nil {
		t.Fatal(err)
	}
	open()
	if want := "stream=" + events.StreamDeadLetters; !strings.Contains(lines.String(), want) {
		t.Errorf("deleted stream: got the log lines %s, want one with %s", lines, want)
	}
}
