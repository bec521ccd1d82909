package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// childDir is the environment variable that makes this test binary the process that is killed.
const childDir = "EMBEDDED_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, runServers(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// addresses is what the child prints when both servers are ready.
type addresses struct{ NATS, Mongo string }

// runServers runs both servers on dir until the process is killed. It returns only an error.
func runServers(dir string) error {
	n, err := StartNATS(NATSConfig{Dir: filepath.Join(dir, "nats")})
	if err != nil {
		return err
	}
	m, err := StartMongo(MongoConfig{Dir: filepath.Join(dir, "mongo")})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(addresses{NATS: n.URL(), Mongo: m.URI()}); err != nil {
		return err
	}
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("parent has ended: %w", err)
	}
	return errors.New("unexpected input from the parent")
}

// startChild starts the process with the servers and returns it with their addresses.
func startChild(t *testing.T, dir string) (*exec.Cmd, addresses) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // open until the parent ends
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			killAndWait(t, cmd)
		}
	})
	var at addresses
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&at); err != nil {
		t.Fatalf("read addresses of the child: %v", err)
	}
	return cmd, at
}

func killAndWait(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("wait for the killed child: got %v, want an exit by a signal", err)
	}
}

func TestKillWhileWritingLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child, at := startChild(t, dir)
	const enough = 300
	written := make(chan struct{})
	acknowledged := make(chan acks, 1)
	go func() { acknowledged <- writeUntilKilled(t, at, enough, written) }()
	<-written
	killAndWait(t, child)
	acked := <-acknowledged

	n := startNATS(t, NATSConfig{Dir: filepath.Join(dir, "nats")})
	if got := messagesIn(t, openStream(t, n)); got < uint64(acked.messages) {
		t.Errorf("messages after the kill: got %d, want the %d acknowledged", got, acked.messages)
	}
	m := startMongo(t, MongoConfig{Dir: filepath.Join(dir, "mongo")})
	got, err := connect(t, m).Database("shop").Collection("orders").CountDocuments(t.Context(), bson.D{})
	if err != nil || got < int64(acked.documents) {
		t.Errorf("documents after the kill: got %d, %v; want the %d acknowledged", got, err, acked.documents)
	}
}

// acks counts acknowledged writes.
type acks struct{ messages, documents int }

// writeUntilKilled publishes messages and inserts documents until the servers are killed. It closes written after enough of
// them, and returns how many were acknowledged.
func writeUntilKilled(t *testing.T, at addresses, enough int, written chan<- struct{}) (acked acks) {
	var closed bool
	done := func() {
		if !closed {
			close(written)
			closed = true
		}
	}
	defer done()
	js, orders, stop, err := childClients(t.Context(), at)
	if err != nil {
		t.Error(err)
		return acked
	}
	defer stop()
	for i := 0; ; i++ {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, published := js.Publish(ctx, "orders."+strconv.Itoa(i), []byte("placed"))
		if published == nil {
			acked.messages++
		}
		_, inserted := orders.InsertOne(ctx, orderDoc(i, 1))
		if inserted == nil {
			acked.documents++
		}
		cancel()
		if i == enough {
			done()
		}
		if published != nil || inserted != nil {
			if i < enough {
				t.Errorf("write %d: %v", i, errors.Join(published, inserted))
			}
			return acked
		}
	}
}

func childClients(ctx context.Context, at addresses) (jetstream.JetStream, *mongo.Collection, func(), error) {
	conn, err := nats.Connect(at.NATS, nats.NoReconnect())
	if err != nil {
		return nil, nil, nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, nil, nil, err
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.*"}}); err != nil {
		return nil, nil, nil, err
	}
	client, err := mongo.Connect(options.Client().ApplyURI(at.Mongo).SetServerSelectionTimeout(time.Second))
	if err != nil {
		return nil, nil, nil, err
	}
	stop := func() {
		conn.Close()
		_ = client.Disconnect(context.WithoutCancel(ctx)) // the server is killed
	}
	return js, client.Database("shop").Collection("orders"), stop, nil
}
