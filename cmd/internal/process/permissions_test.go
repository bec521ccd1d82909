package process_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/backup"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// The configurations of a broker in deploy. In oneAccount the workers are users of one account; in accountEach every worker has an
// account of its own.
const (
	oneAccount  = "nats.conf"
	accountEach = "nats-accounts.conf"
)

// startProductionBroker starts a broker with a configuration of deploy, without a cluster.
func startProductionBroker(t *testing.T, configuration string) *server.Server {
	t.Helper()
	return startProductionBrokerIn(t, configuration, t.TempDir())
}

// startProductionBrokerIn starts such a broker on an existing store.
func startProductionBrokerIn(t *testing.T, configuration, dir string) *server.Server {
	t.Helper()
	for _, name := range []string{"NAME", "HOST", "MONITOR", "STORE", "ROUTE_1", "ROUTE_2", "ROUTE_3", "ROUTE_PASSWORD", "SYS_PASSWORD",
		"ORDERS_PASSWORD", "INVENTORY_PASSWORD", "PAYMENTS_PASSWORD", "NOTIFICATIONS_PASSWORD", "OPS_PASSWORD"} {
		t.Setenv("NATS_"+name, "secret")
	}
	t.Setenv("NATS_HOST", "127.0.0.1")
	t.Setenv("NATS_MONITOR", "127.0.0.1:0")
	options, err := server.ProcessConfigFile(filepath.Join("..", "..", "..", "deploy", configuration))
	if err != nil {
		t.Fatal(err)
	}
	options.Cluster, options.Routes = server.ClusterOpts{}, nil
	options.Port, options.HTTPHost, options.HTTPPort, options.StoreDir, options.NoLog, options.NoSigs = server.RANDOM_PORT, "", 0, dir, true, true
	options.JetStreamMaxMemory, options.JetStreamMaxStore = 3*options.JetStreamMaxMemory, 3*options.JetStreamMaxStore // the account's limits are for three servers
	return logtest.ServerWith(t, options)
}

func connectAs(t *testing.T, broker *server.Server, user string) *nats.Conn {
	t.Helper()
	url := strings.Replace(broker.ClientURL(), "nats://", fmt.Sprintf("nats://%s:secret@", user), 1)
	conn, err := nats.Connect(url, append(process.Options(user, slog.New(slog.DiscardHandler)), nats.MaxReconnects(0))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// counted returns an entity that accepts any event; its state is the number of its events.
func counted(prefix string) eventlog.Entity[int] {
	return eventlog.Entity[int]{Prefix: prefix, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}
}

// ownPrefix is the prefix under which each user may append.
var ownPrefix = map[string]string{"orders": events.PrefixOrder, "inventory": events.PrefixReservation, "payments": events.PrefixPayment,
	"notifications": events.PrefixNotification}

// ownFact is the event that the tests append under each prefix. Its type belongs to the domain of the prefix.
var ownFact = map[string]events.Payload{events.PrefixOrder: events.OrderExpired{}, events.PrefixReservation: events.ReservationReleased{OrderID: "1"},
	events.PrefixPayment: events.PaymentCancelled{}, events.PrefixNotification: events.MessageFailed{}}

// onOwnFacts returns the routes of a lane that handles these events.
func onOwnFacts(handle func(events.Event) error) []worker.Route {
	return []worker.Route{on[events.OrderExpired](handle), on[events.ReservationReleased](handle), on[events.PaymentCancelled](handle), on[events.MessageFailed](handle)}
}

func on[P events.Payload](handle func(events.Event) error) worker.Route {
	return worker.On(func(_ *eventlog.Tx, e events.Event, _ P) error { return handle(e) })
}

// Row 74 of the fault matrix, for mistakes: on a broker with the production configuration a worker can do its work. The broker
// refuses, at once, that it appends to the subjects of other domains, alone or in a batch, moves their lanes, or changes a
// stream.
func TestEachWorkerIsKeptToItsOwn(t *testing.T) {
	for _, configuration := range []string{oneAccount, accountEach} {
		broker := startProductionBroker(t, configuration)
		for user, prefix := range ownPrefix {
			t.Run(configuration+"/"+user, func(t *testing.T) { checkKeptToItsOwn(t, broker, user, prefix) })
		}
	}
}

func checkKeptToItsOwn(t *testing.T, broker *server.Server, user, prefix string) {
	t.Helper()
	conn := connectAs(t, broker, user)
	l, err := eventlog.Open(t.Context(), conn, eventlog.Config{Source: user, Owns: []string{""}, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	checkOwnWork(t, l, user, prefix)
	checkUseOfKeys(t, broker, l)
	checkRedrive(t, broker, l, user, prefix)
	for other, foreign := range ownPrefix {
		if other != user {
			checkRefused(t, l, prefix, foreign)
		}
	}
	checkStreamsAreProtected(t, l, user)
}

// checkOwnWork has a user append events, read them, and run a lane.
func checkOwnWork(t *testing.T, l *eventlog.Log, user, prefix string) {
	t.Helper()
	handled := make(chan struct{}, 100)
	w, err := worker.New(t.Context(), l, worker.Config{Domains: []worker.Domain{{Name: user, Log: l,
		Routes: onOwnFacts(func(events.Event) error { handled <- struct{}{}; return nil })}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for range 2 { // alone, and then as a batch
		err = l.Do(t.Context(), func(tx *eventlog.Tx) error {
			if _, err := counted(prefix).Load(tx, "own"); err != nil {
				return err
			}
			return errors.Join(counted(prefix).Append(tx, "own", ownFact[prefix]), counted(prefix).Append(tx, "own", ownFact[prefix]))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		<-handled
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n, _, err := counted(prefix).Read(t.Context(), l, "own"); err != nil || n != 4 {
		t.Errorf("read %d of its own events (%v), want 4", n, err)
	}
	if info, err := l.JetStream().AccountInfo(t.Context()); err != nil || info.Limits.MaxStore <= 0 {
		t.Errorf("account info = %+v (%v), want a storage limit", info, err)
	}
	if c, err := l.LoadCheckpoint(t.Context(), user); err != nil || c.Position == 0 {
		t.Errorf("checkpoint = %+v (%v), want a position", c, err)
	}
}

// checkRedrive has a user's lane open dead letters, and handle an event again when an operator redrives it.
func checkRedrive(t *testing.T, broker *server.Server, l *eventlog.Log, user, prefix string) {
	t.Helper()
	reader, err := replay.Open(t.Context(), connectAs(t, broker, "ops"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	var repaired atomic.Bool
	registry := prometheus.NewRegistry()
	w, err := worker.New(t.Context(), l, worker.Config{Registerer: registry, Domains: []worker.Domain{{Name: user, Log: l,
		Routes: onOwnFacts(func(e events.Event) error {
			if repaired.Load() || e.Subject != prefix+"dead" { // the log also has such events of other users
				return nil
			}
			return errors.New("no rule")
		})}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		return counted(prefix).Append(tx, "dead", ownFact[prefix], ownFact[prefix])
	}); err != nil {
		t.Fatal(err)
	}
	proc.WaitFor(t, "the process counts its dead letters", 20*time.Second, func() bool { return openDeadLetters(t, registry) == 2 })
	repaired.Store(true)
	letters, err := reader.DeadLetters(t.Context(), 0)
	letters = slices.DeleteFunc(letters, func(d replay.DeadLetter) bool { return d.Worker != user })
	if err != nil || len(letters) != 2 {
		t.Fatalf("%d dead letters (%v), want 2", len(letters), err)
	}
	if _, err := reader.Discard(t.Context(), letters[1:], events.Author{Actor: "key:ops", Reason: "settled"}); err != nil {
		t.Error(err)
	}
	redrive, err := reader.Redrive(t.Context(), letters[:1], events.Author{Actor: "key:ops", Reason: "repaired"})
	if err != nil {
		t.Fatal(err)
	}
	waiting, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	if after, err := reader.Await(waiting, redrive, func(int) {}); err != nil || after[0].State != replay.StateRedriven {
		t.Errorf("dead letter state = %s (%v), want redriven", after[0].State, err)
	}
	proc.WaitFor(t, "the process counts none", 20*time.Second, func() bool { return openDeadLetters(t, registry) == 0 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// openDeadLetters returns the number of open dead letters that the one lane of a registry reports.
func openDeadLetters(t *testing.T, registry *prometheus.Registry) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "tillstream_lane_open_dead_letters" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

// checkRefused has a worker append under another domain's prefix. The log retries for a minute, and the refusal must be faster.
func checkRefused(t *testing.T, l *eventlog.Log, own, foreign string) {
	t.Helper()
	began := time.Now()
	alone := l.Do(t.Context(), func(tx *eventlog.Tx) error { return counted(foreign).Append(tx, "other", ownFact[foreign]) })
	inBatch := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		return errors.Join(counted(own).Append(tx, "beside", ownFact[own]), counted(foreign).Append(tx, "other", ownFact[foreign]))
	})
	if !errors.Is(alone, eventlog.ErrNotAllowed) || !errors.Is(inBatch, eventlog.ErrNotAllowed) {
		t.Errorf("append under %s: alone %v, in a batch %v; want ErrNotAllowed", foreign, alone, inBatch)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("append under %s: got a refusal after %s, want at most 20s", foreign, took)
	}
	if _, _, err := counted(own).Read(t.Context(), l, "beside"); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("part of the refused batch: Read() = %v, want ErrNotFound", err)
	}
}

// The operator's user can back up, and restore into a broker without streams, but cannot change a stream. A backup of a shop in
// one account is restored into a shop with an account for each worker.
func TestOpsBacksUpAndRestores(t *testing.T) {
	source, target := startProductionBroker(t, oneAccount), startProductionBroker(t, accountEach)
	l, err := eventlog.Open(t.Context(), connectAs(t, source, "orders"), eventlog.Config{Source: "orders", Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	checkOwnWork(t, l, "orders", events.PrefixOrder)
	if _, err := l.JetStream().Publish(t.Context(), "deadletters.orders.1", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "backup")
	from := openLogAs(t, source, "ops")
	if _, err := (replay.Backup{DB: projecttest.Database(t), Dir: dir, Log: from}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, err := backup.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	to := openLogAs(t, target, "ops")
	report, err := replay.Restore{Backup: kept, DB: projecttest.Database(t), Log: to}.Run(t.Context())
	if err != nil || report.Cut != 4 || report.DeadLetters != 1 || report.Lanes != 1 {
		t.Errorf("restore = %+v, %v; want 4 events, 1 dead letter and 1 lane", report, err)
	}
	checkStreamsAreProtected(t, to.Log(), "ops")
}

// openLogAs opens the log as a user, in the way that the ops command does.
func openLogAs(t *testing.T, broker *server.Server, user string) *replay.Reader {
	t.Helper()
	url := strings.Replace(broker.ClientURL(), "nats://", fmt.Sprintf("nats://%s:secret@", user), 1)
	reader, done, err := target.Shop{NATS: url}.MakeLog(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	return reader
}

// checkStreamsAreProtected expects that a user cannot change or empty a stream and, for a worker, another domain's checkpoint.
func checkStreamsAreProtected(t *testing.T, l *eventlog.Log, user string) {
	t.Helper()
	js := l.JetStream()
	stream, err := js.Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	foreign := "orders"
	if user == foreign {
		foreign = "inventory"
	}
	tries := map[string]func(context.Context) error{
		"update a stream": func(ctx context.Context) error {
			_, err := js.UpdateStream(ctx, stream.CachedInfo().Config)
			return err
		},
		"delete a stream":  func(ctx context.Context) error { return js.DeleteStream(ctx, events.StreamShop) },
		"purge a stream":   func(ctx context.Context) error { return stream.Purge(ctx) },
		"delete a message": func(ctx context.Context) error { return stream.DeleteMsg(ctx, 1) },
		"erase a message":  func(ctx context.Context) error { return stream.SecureDeleteMsg(ctx, 1) },
		"create a stream": func(ctx context.Context) error {
			_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "OWN", Subjects: []string{"own.>"}})
			return err
		},
		"move another lane": func(ctx context.Context) error {
			_, err := js.PublishMsg(ctx, &nats.Msg{Subject: "$KV.checkpoints." + foreign, Data: []byte("{}")}, jetstream.WithRetryAttempts(0))
			return err
		},
	}
	if user == "ops" { // a restore sets checkpoints
		delete(tries, "move another lane")
	}
	for what, try := range tries {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // the broker does not answer a forbidden request
		if err := try(ctx); err == nil {
			t.Errorf("%s: allowed, want a refusal", what)
		}
		cancel()
	}
}
