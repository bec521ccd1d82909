package embedded

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// BenchmarkConnection compares the two ways to connect to the server in the same process.
func BenchmarkConnection(b *testing.B) {
	for _, way := range []struct {
		name    string
		connect func(*NATS) (*nats.Conn, error)
	}{
		{"TCP", func(n *NATS) (*nats.Conn, error) { return nats.Connect(n.URL()) }},
		{"InProcess", func(n *NATS) (*nats.Conn, error) { return nats.Connect(n.URL(), nats.InProcessServer(n)) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.Run("Batch300", func(b *testing.B) { benchBatch(b, way.connect) })
			b.Run("Request", func(b *testing.B) { benchRequest(b, way.connect) })
			b.Run("Consume500", func(b *testing.B) { benchConsume(b, way.connect) })
		})
	}
}

type connectFunc func(*NATS) (*nats.Conn, error)

func benchServer(b *testing.B, connect connectFunc) (*nats.Conn, jetstream.JetStream, jetstream.Stream) {
	b.Helper()
	n := startNATS(b, NATSConfig{Dir: b.TempDir()})
	stream := openStream(b, n)
	conn, err := connect(n)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		b.Fatal(err)
	}
	return conn, js, stream
}

func benchBatch(b *testing.B, connect connectFunc) {
	_, js, _ := benchServer(b, connect)
	n := 0
	for b.Loop() {
		publishBatch(b, js, n, 300)
		n += 300
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msgs/s")
}

// publishBatch commits n messages of 1 KB in one atomic batch.
func publishBatch(b *testing.B, js jetstream.JetStream, from, n int) {
	b.Helper()
	batch, err := jetstreamext.NewBatchPublisher(js)
	if err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 1024)
	for i := range n - 1 {
		if err := batch.Add(fmt.Sprintf("orders.%d", from+i), body); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := batch.Commit(b.Context(), fmt.Sprintf("orders.%d", from+n-1), body); err != nil {
		b.Fatal(err)
	}
}

// benchRequest measures the round trip of a direct get, which every read of an entity costs.
func benchRequest(b *testing.B, connect connectFunc) {
	_, js, stream := benchServer(b, connect)
	publishBatch(b, js, 0, 300)
	direct, err := js.Stream(b.Context(), stream.CachedInfo().Config.Name)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := direct.GetLastMsgForSubject(b.Context(), "orders.7"); err != nil {
			b.Fatal(err)
		}
	}
}

func benchConsume(b *testing.B, connect connectFunc) {
	_, js, stream := benchServer(b, connect)
	for from := 0; from < 15_000; from += 500 {
		publishBatch(b, js, from, 500)
	}
	n := 0
	for b.Loop() {
		n += consumeAll(b, js, stream.CachedInfo().Config.Name)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msgs/s")
}

// consumeAll reads the whole stream with a new consumer, 500 messages at a time.
func consumeAll(b *testing.B, js jetstream.JetStream, stream string) int {
	b.Helper()
	consumer, err := js.CreateConsumer(b.Context(), stream, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for n < 15_000 {
		batch, err := consumer.FetchNoWait(500)
		if err != nil {
			b.Fatal(err)
		}
		for range batch.Messages() {
			n++
		}
	}
	return n
}
