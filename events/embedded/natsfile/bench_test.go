package natsfile_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"tillstream/events/embedded/natsfile"
)

// BenchmarkCheck measures the check of events as large as the shop's: 600 bytes of headers and 600 of body.
func BenchmarkCheck(b *testing.B) {
	const batches, perBatch = 100, 1000
	dir := b.TempDir()
	server(b, dir, func(ctx context.Context, js jetstream.JetStream) {
		if _, err := js.CreateStream(ctx, config); err != nil {
			b.Fatal(err)
		}
		for n := range batches {
			batch, err := jetstreamext.NewBatchPublisher(js)
			if err != nil {
				b.Fatal(err)
			}
			for i := range perBatch - 1 {
				if err := batch.AddMsg(event(n*perBatch + i)); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := batch.CommitMsg(ctx, event(n*perBatch+perBatch-1)); err != nil {
				b.Fatal(err)
			}
		}
	})
	for b.Loop() {
		if damage, err := natsfile.Check(b.Context(), dir, nil); err != nil || len(damage) > 0 {
			b.Fatal(damage, err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N*batches*perBatch), "s/1M-messages")
}

func event(n int) *nats.Msg {
	return &nats.Msg{Subject: fmt.Sprintf("s.%d", n/10), Header: nats.Header{"Fields": {strings.Repeat("x", 600)}}, Data: bytes.Repeat([]byte("y"), 600)}
}
