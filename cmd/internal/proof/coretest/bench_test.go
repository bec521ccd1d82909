package coretest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"tillstream/cmd/internal/proof/coretest"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

const (
	benchBuyers = 1000 // concurrent orders
	benchCalls  = 256  // concurrent calls to Stripe, which wait only for the log
	benchItems  = 1000 // items to choose from
	benchTurn   = 3000 // orders between two measurements of raw batches
	rawBatch    = 64   // messages per raw batch, as in events/log's BenchmarkGroupCommit
	perOrder    = 16   // events of a purchase of two lines
)

// BenchmarkSaga measures purchases of two lines: place, reserve, pay, confirm, commit the stock, queue the mail, with every event
// synced to disk. x-raw compares the time with that of the same number and size of messages in raw atomic batches of 64.
// The two take turns, so that a noisy machine slows both.
func BenchmarkSaga(b *testing.B) {
	benchmarkSaga(b, func(n int) []events.ReservedLine {
		return []events.ReservedLine{coretest.Line(item(2*n), 1), coretest.Line(item(2*n+1), 1)}
	})
}

// BenchmarkSagaHotItem is the same with one item in every order. Its ledger moves once per batch of orders, so it should be as
// fast as BenchmarkSaga.
func BenchmarkSagaHotItem(b *testing.B) {
	benchmarkSaga(b, func(n int) []events.ReservedLine {
		return []events.ReservedLine{coretest.Line("hot", 1), coretest.Line(item(n), 1)}
	})
}

func item(n int) string { return fmt.Sprintf("item-%d", n%benchItems) }

func benchmarkSaga(b *testing.B, basket func(n int) []events.ReservedLine) {
	shop := coretest.Open(b, coretest.Config{AutoPay: true, Calls: benchCalls})
	for n := range benchItems {
		shop.Stock(b, item(n), 1_000_000)
	}
	shop.Stock(b, "hot", 100_000_000)
	shop.Run(b)
	mails := follow(b, shop)
	raw := logtest.Open(b)
	before, bytesBefore := shop.Size(b)
	var sagas, raws, cpu time.Duration
	for done := 0; done < b.N; done += benchTurn {
		turn := min(b.N-done, benchTurn)
		started, used := time.Now(), cpuTime(b)
		buy(b, shop, mails, done, turn, basket)
		sagas += time.Since(started)
		cpu += cpuTime(b) - used
		b.StopTimer()
		after, bytesAfter := shop.Size(b)
		raws += rawBatches(b, raw, turn*perOrder, int(bytesAfter-bytesBefore)/int(after-before))
		b.StartTimer()
	}
	b.StopTimer()
	shop.Settle(b)
	after, _ := shop.Size(b)
	if got := after - before; got != uint64(b.N*perOrder) {
		b.Fatalf("%d orders: got %d events, want %d each", b.N, got, perOrder)
	}
	n := float64(b.N)
	b.ReportMetric(n/sagas.Seconds(), "orders/s")
	b.ReportMetric(n*perOrder/sagas.Seconds(), "events/s")
	b.ReportMetric(n*perOrder/raws.Seconds(), "raw-events/s")
	b.ReportMetric(raws.Seconds()/sagas.Seconds(), "x-raw")
	b.ReportMetric(1e3*cpu.Seconds()/n, "cpu-ms/order")
}

// buy places orders from many buyers. Each places the next order when the mail of the last one is queued.
func buy(b *testing.B, shop *coretest.Shop, mails *mailbox, from, n int, basket func(n int) []events.ReservedLine) {
	b.Helper()
	slots := make(chan struct{}, benchBuyers)
	var group sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			id := uuid.Must(uuid.NewV7()).String()
			queued := mails.expect(id)
			if err := shop.Place(context.Background(), id, basket(from+i)...); err != nil {
				b.Error(err)
				return
			}
			<-queued
		})
	}
	group.Wait()
}

// mailbox signals when the mail of an order is queued.
type mailbox struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

func follow(b *testing.B, shop *coretest.Shop) *mailbox {
	b.Helper()
	m := &mailbox{waiting: map[string]chan struct{}{}}
	w, err := worker.New(b.Context(), logtest.OpenOn(b, shop.Server), worker.Config{Domains: []worker.Domain{{Name: "mailbox", Watches: []worker.Watch{{
		Prefixes: []string{events.PrefixNotification},
		Handle:   func(e events.Event) { m.arrived(strings.TrimPrefix(e.Subject, events.PrefixNotification)) }}}}}})
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		if err := w.Run(b.Context()); err != nil && b.Context().Err() == nil {
			b.Error(err)
		}
	}()
	return m
}

func (m *mailbox) expect(id string) <-chan struct{} {
	queued := make(chan struct{})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting[id] = queued
	return queued
}

func (m *mailbox) arrived(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if queued, ok := m.waiting[id]; ok {
		close(queued)
		delete(m.waiting, id)
	}
}

// rawBatches publishes about n messages of a size and returns how long it took. Encoding does not count.
func rawBatches(b *testing.B, l *eventlog.Log, n, size int) time.Duration {
	b.Helper()
	messages := make([]*nats.Msg, rawBatch)
	for i := range messages {
		m, err := events.Encode(events.Event{ID: uuid.NewString(), Source: "raw", Time: l.Now(), CorrelationID: uuid.NewString(),
			CausationID: uuid.NewString(), Subject: fmt.Sprintf("%sraw-%d", events.PrefixReservation, i), Payload: events.ReservationReleased{OrderID: uuid.NewString()}})
		if err != nil {
			b.Fatal(err)
		}
		if missing := size - m.Size(); missing > 0 {
			m.Data = append(m.Data, make([]byte, missing)...)
		}
		messages[i] = m
	}
	started := time.Now()
	for range max(n/rawBatch, 1) {
		rawBatchOf(b, l, messages)
	}
	return time.Since(started)
}

func rawBatchOf(b *testing.B, l *eventlog.Log, messages []*nats.Msg) {
	b.Helper()
	publisher, err := jetstreamext.NewBatchPublisher(l.JetStream(), jetstreamext.BatchFlowControl{AckFirst: false})
	if err != nil {
		b.Fatal(err)
	}
	last := len(messages) - 1
	for _, m := range messages[:last] {
		if err := publisher.AddMsg(m); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := publisher.CommitMsg(context.Background(), messages[last]); err != nil {
		b.Fatal(err)
	}
}

// cpuTime returns the processor time of this process, which includes the broker.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
