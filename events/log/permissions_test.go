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

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// allowed is what a worker that appends under orders. must be allowed to publish. Listing a bucket, and the end of watching
// one, deletes a consumer: who may not do that waits for the answer for 5 s.
func allowed() []string {
	subjects := []string{events.PrefixOrder + ">", "$KV.checkpoints.>", "$KV.leases.>", "$KV.topology.>", "$JS.API.STREAM.MSG.GET.KV_topology", "$JS.API.CONSUMER.MSG.NEXT.SHOP.*",
		"$JS.API.CONSUMER.DELETE.KV_checkpoints.*", "$JS.API.CONSUMER.DELETE.KV_leases.*"}
	for _, stream := range []string{events.StreamShop, events.StreamDeadLetters, "KV_checkpoints", "KV_leases", "KV_topology"} {
		subjects = append(subjects, "$JS.API.STREAM.INFO."+stream, "$JS.API.DIRECT.GET."+stream, "$JS.API.DIRECT.GET."+stream+".>",
			"$JS.API.CONSUMER.CREATE."+stream+".>")
	}
	return subjects
}

// restricted is a log whose broker lets its user append under orders. alone, beside the log of an operator who may do
// everything. The process believes that it may append anywhere.
func restricted(t *testing.T) (worker, operator *log.Log, forbidden *lines) {
	t.Helper()
	broker := tight(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "operator", Password: "secret"},
			{Username: "worker", Password: "secret", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: allowed()}, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}},
		}
	})
	as := func(user string) string { return strings.Replace(broker.ClientURL(), "://", "://"+user+":secret@", 1) }
	operator = logtest.OpenOver(t, logtest.ConnectTo(t, as("operator")))
	conn := logtest.ConnectTo(t, as("worker"))
	forbidden = &lines{}
	conn.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { fmt.Fprintln(forbidden, err) })
	return logtest.OpenOver(t, conn), operator, forbidden
}

// denied asserts that an append was refused for want of a permission, long before patience ended.
func denied(t *testing.T, began time.Time, err error) {
	t.Helper()
	if !errors.Is(err, log.ErrNotAllowed) || !errors.Is(err, log.ErrUnavailable) {
		t.Errorf("got %v, want ErrNotAllowed and ErrUnavailable", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s to be told no", took)
	}
}

// A broker says nothing to whom it does not let publish: it only tells the connection. Whoever waits for the answer is told
// at once all the same, and not when patience ends.
func TestAnAppendThatTheBrokerForbidsFailsAtOnce(t *testing.T) {
	t.Parallel()
	order := func(tx *log.Tx) error { return promises.Append(tx, "o", events.OrderConfirmed{}) }
	stock := func(id string) func(*log.Tx) error { return func(tx *log.Tx) error { return add(tx, id, 1) } }
	for name, parts := range map[string][]func(*log.Tx) error{
		"One":             {stock("a")},
		"AnEncodedID":     {stock("a b/c%")},
		"Batch":           {stock("a"), stock("b"), stock("c")},
		"FirstOfABatch":   {stock("a"), order},
		"MiddleOfABatch":  {order, stock("a"), order},
		"LastOfABatch":    {order, stock("a")},
		"JournalOfABatch": {order, func(tx *log.Tx) error { return webhooks.Append(tx, events.WebhookReceived{}) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			worker, operator, _ := restricted(t)
			began := time.Now()
			denied(t, began, worker.Do(t.Context(), func(tx *log.Tx) error {
				var problem error
				for _, part := range parts {
					problem = errors.Join(problem, part(tx))
				}
				return problem
			}))
			if n := messages(t, operator, events.StreamShop); n != 0 {
				t.Errorf("%d messages in the log, want none", n)
			}
			if err := worker.Do(t.Context(), order); err != nil {
				t.Errorf("an append that is allowed, after it: %v", err)
			}
		})
	}
}

// Of requests that are committed together those that are allowed are stored, once, and only the other one fails: whether
// they are few and published one by one, or many in one batch.
func TestAForbiddenRequestDoesNotTakeOthersDown(t *testing.T) {
	t.Parallel()
	for _, others := range []int{4, 60} {
		t.Run(fmt.Sprint(others), func(t *testing.T) {
			t.Parallel()
			worker, operator, _ := restricted(t)
			round := func(name string, forbidden bool) (units []int, culprit int, outcome func(int) error) {
				tx := worker.Begin(t.Context())
				for i := range others {
					if forbidden && i == others/2 {
						culprit = tx.Unit()
						if err := add(tx, name, 1); err != nil {
							t.Fatal(err)
						}
					}
					units = append(units, tx.Unit())
					if err := promises.Append(tx, fmt.Sprintf("%s-%d", name, i), events.OrderConfirmed{}); err != nil {
						t.Fatal(err)
					}
				}
				return units, culprit, tx.CommitEach()
			}
			round("warm", false) // a committer that has just served many waits for as many
			began := time.Now()
			units, culprit, outcome := round("mixed", true)
			denied(t, began, outcome(culprit))
			for _, unit := range units {
				if err := outcome(unit); err != nil {
					t.Errorf("allowed, and refused: %v", err)
				}
			}
			if n := messages(t, operator, events.StreamShop); int(n) != 2*others {
				t.Errorf("%d messages in the log, want %d", n, 2*others)
			}
			if _, _, err := tallies.Read(t.Context(), operator, "mixed"); !errors.Is(err, log.ErrNotFound) {
				t.Errorf("what was forbidden: %v, want ErrNotFound", err)
			}
		})
	}
}

// A worker gets by with what it is allowed, whatever of the log it uses.
func TestAWorkerGetsByWithItsPermissions(t *testing.T) {
	t.Parallel()
	worker, operator, forbidden := restricted(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range 20 { // more than are read one by one
		must("append as the operator", operator.Do(ctx, func(tx *log.Tx) error { return errors.Join(add(tx, "a", 1), add(tx, "b", 1)) }))
	}
	must("append", worker.Do(ctx, func(tx *log.Tx) error {
		if _, err := tallies.Load(tx, "a"); err != nil {
			return err
		}
		return promises.Append(tx, "o", events.OrderConfirmed{}, events.OrderConfirmed{})
	}))
	_, err := worker.First(ctx, events.PrefixStock+"a")
	must("read the first", err)
	end, err := worker.End(ctx, 0)
	must("look at the end", err)
	_, err = worker.Get(ctx, end)
	must("read the last", err)
	_, err = worker.Snapshot(ctx, []string{events.PrefixOrder + "*"}, func(log.Message) error { return nil })
	must("read the newest of each", err)
	errEnough := errors.New("enough")
	if err := worker.Follow(ctx, 1, func(m log.Message) error {
		if m.Sequence == end {
			return errEnough
		}
		return nil
	}); !errors.Is(err, errEnough) {
		t.Errorf("follow: %v", err)
	}
	lease, ok, err := worker.Acquire(ctx, "lane", "worker")
	if must("acquire", err); !ok {
		t.Error("acquire: the lane is not free")
	}
	must("renew", worker.Renew(ctx, &lease))
	_, err = worker.Leases(ctx)
	must("list leases", err)
	watching, stop := context.WithCancel(ctx)
	must("watch leases", worker.WatchLeases(watching, func(log.Lease) { stop() }))
	must("release", worker.Release(ctx, lease))
	checkpoint, err := worker.LoadCheckpoint(ctx, "lane")
	must("load checkpoint", err)
	must("save checkpoint", worker.SaveCheckpoint(ctx, &checkpoint))
	must("save checkpoint again", worker.SaveCheckpoint(ctx, &checkpoint))
	_, err = worker.Checkpoints(ctx)
	must("list checkpoints", err)
	if text := forbidden.String(); text != "" {
		t.Errorf("the broker forbade:\n%s", text)
	}
}
