package log_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

const benchWriters = 64

// BenchmarkGroupCommit appends 1-KB events from 64 writers, each to its own entity, and compares the rate with raw
// JetStream atomic batches of 64 such messages on the same server in the same run. x-raw is the ratio.
func BenchmarkGroupCommit(b *testing.B) {
	server := logtest.Server(b)
	l := logtest.OpenOn(b, server)
	body := strings.Repeat("x", 1024)
	rounds := max(b.N/benchWriters, 1)

	raw := rate(rounds*benchWriters, func() { rawBatches(b, l.JetStream(), body, rounds) })
	b.ResetTimer()
	grouped := rate(rounds*benchWriters, func() { groupCommits(b, l, body, rounds) })
	b.StopTimer()
	b.ReportMetric(grouped, "events/s")
	b.ReportMetric(raw, "raw-events/s")
	b.ReportMetric(grouped/raw, "x-raw")
}

func rate(n int, work func()) float64 {
	started := time.Now()
	work()
	return float64(n) / time.Since(started).Seconds()
}

func rawBatches(b *testing.B, js jetstream.JetStream, body string, rounds int) {
	b.Helper()
	for range rounds {
		publisher, err := jetstreamext.NewBatchPublisher(js, jetstreamext.BatchFlowControl{AckFirst: false})
		if err != nil {
			b.Fatal(err)
		}
		for i := range benchWriters {
			msg := nats.NewMsg(fmt.Sprintf("notifications.raw-%d", i))
			msg.Data = []byte(body)
			if i < benchWriters-1 {
				err = publisher.AddMsg(msg)
			} else {
				_, err = publisher.CommitMsg(context.Background(), msg)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func groupCommits(b *testing.B, l *log.Log, body string, rounds int) {
	b.Helper()
	var group sync.WaitGroup
	for writer := range benchWriters {
		group.Go(func() {
			id := fmt.Sprintf("sku-%d", writer)
			fact := plus(1)
			fact.Reason = body
			for range rounds {
				err := l.Do(context.Background(), func(tx *log.Tx) error {
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

// BenchmarkAppendAlone is one writer with nobody to share the fsync with.
func BenchmarkAppendAlone(b *testing.B) {
	l := logtest.Open(b)
	for b.Loop() {
		if err := l.Do(context.Background(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
			b.Fatal(err)
		}
	}
}
