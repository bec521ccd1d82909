package log_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

const (
	benchWriters = 64
	benchTurn    = 20 // batches of one kind before the other kind takes its turn
)

// BenchmarkGroupCommit appends 1-KB events from 64 writers, each to its own entity, and compares the rate with raw
// JetStream atomic batches of 64 such messages, encoded beforehand, on the same server. The two take turns, so that other
// load on the machine slows both. x-raw is the ratio.
func BenchmarkGroupCommit(b *testing.B) {
	l := logtest.Open(b)
	body := strings.Repeat("x", 1024)
	messages := encoded(b, l, body)
	rounds := max(b.N/benchWriters, 1)
	var raw, grouped time.Duration
	for left := rounds; left > 0; left -= benchTurn {
		turn := min(left, benchTurn)
		b.StopTimer()
		raw += timed(func() { rawBatches(b, l.JetStream(), messages, turn) })
		b.StartTimer()
		grouped += timed(func() { groupCommits(b, l, body, turn) })
	}
	b.StopTimer()
	n := float64(rounds * benchWriters)
	b.ReportMetric(n/grouped.Seconds(), "events/s")
	b.ReportMetric(n/raw.Seconds(), "raw-events/s")
	b.ReportMetric(raw.Seconds()/grouped.Seconds(), "x-raw")
}

func timed(work func()) time.Duration {
	started := time.Now()
	work()
	return time.Since(started)
}

// encoded renders one event for each writer, on a subject of its own.
func encoded(b *testing.B, l *eventlog.Log, body string) []*nats.Msg {
	b.Helper()
	messages := make([]*nats.Msg, benchWriters)
	for i := range messages {
		fact := plus(1)
		fact.Reason = body
		m, err := events.Encode(events.Event{ID: fmt.Sprintf("00000000-0000-0000-0000-%012d", i), Source: "test", Time: l.Now(),
			Subject: fmt.Sprintf("%sraw-%d", events.PrefixReservation, i), Payload: fact})
		if err != nil {
			b.Fatal(err)
		}
		messages[i] = m
	}
	return messages
}

func rawBatches(b *testing.B, js jetstream.JetStream, messages []*nats.Msg, rounds int) {
	b.Helper()
	last := len(messages) - 1
	for range rounds {
		publisher, err := jetstreamext.NewBatchPublisher(js, jetstreamext.BatchFlowControl{AckFirst: false})
		if err != nil {
			b.Fatal(err)
		}
		for _, m := range messages[:last] {
			if err := publisher.AddMsg(m); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := publisher.CommitMsg(context.Background(), messages[last]); err != nil {
			b.Fatal(err)
		}
	}
}

func groupCommits(b *testing.B, l *eventlog.Log, body string, rounds int) {
	b.Helper()
	var group sync.WaitGroup
	for writer := range benchWriters {
		group.Go(func() {
			id := fmt.Sprintf("sku-%d", writer)
			fact := plus(1)
			fact.Reason = body
			for range rounds {
				err := l.Do(context.Background(), func(tx *eventlog.Tx) error {
					if _, err := tallies.Load(tx, id); err != nil {
						return err
					}
					return tallies.Append(tx, id, fact)
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// BenchmarkSingleWriter appends from one writer, whose commits share no fsync. It takes turns with a raw atomic batch of one
// such message and with a raw publish, both encoded beforehand. x-batch and x-publish are the ratios of the medians.
func BenchmarkSingleWriter(b *testing.B) {
	l := logtest.Open(b)
	messages := encoded(b, l, "")
	var single, batch, publish []time.Duration
	for b.Loop() {
		single = append(single, timed(func() {
			if err := l.Do(context.Background(), func(tx *eventlog.Tx) error { return add(tx, "a", 1) }); err != nil {
				b.Fatal(err)
			}
		}))
		b.StopTimer()
		batch = append(batch, timed(func() { rawBatches(b, l.JetStream(), messages[:1], 1) }))
		publish = append(publish, timed(func() {
			if _, err := l.JetStream().PublishMsg(context.Background(), messages[1]); err != nil {
				b.Fatal(err)
			}
		}))
		b.StartTimer()
	}
	b.ReportMetric(median(single).Seconds()*1000, "p50-ms")
	b.ReportMetric(median(single).Seconds()/median(batch).Seconds(), "x-batch")
	b.ReportMetric(median(single).Seconds()/median(publish).Seconds(), "x-publish")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
