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

// childDir names the variable that makes this test binary be the process that gets killed.
const childDir = "EMBEDDED_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, beChild(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// addresses is what the child tells its parent once both servers are ready.
type addresses struct{ NATS, Mongo string }

// beChild runs both servers on dir until it is killed; it returns only when it could not.
func beChild(dir string) error {
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
		return fmt.Errorf("the parent is gone: %w", err)
	}
	return errors.New("the parent spoke, which it never does")
}

// startChild starts the child and returns it with its addresses.
func startChild(t *testing.T, dir string) (*exec.Cmd, addresses) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // open for as long as the parent lives
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
		t.Fatalf("the child did not become ready: %v", err)
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
		t.Fatalf("killed child: %v, want it to have ended by a signal", err)
	}
}

func TestKilledWhileWritingLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child, at := startChild(t, dir)
	const enough = 300
	written := make(chan struct{})
	acked := make(chan [2]int, 1)
	go func() { acked <- writeUntilKilled(t, at, enough, written) }()
	<-written
	killAndWait(t, child)
	got := <-acked

	n := startNATS(t, NATSConfig{Dir: filepath.Join(dir, "nats")})
	if have := messagesIn(t, openStream(t, n)); have < uint64(got[0]) {
		t.Errorf("%d messages after the kill, %d were acknowledged", have, got[0])
	}
	m := startMongo(t, MongoConfig{Dir: filepath.Join(dir, "mongo")})
	have, err := connect(t, m).Database("shop").Collection("orders").CountDocuments(t.Context(), bson.D{})
	if err != nil || have < int64(got[1]) {
		t.Errorf("%d documents after the kill, %v; %d were acknowledged", have, err, got[1])
	}
}

// writeUntilKilled publishes and inserts by turns until the servers are gone, says when there is enough, and returns
// how much of each was acknowledged.
func writeUntilKilled(t *testing.T, at addresses, enough int, written chan<- struct{}) (acked [2]int) {
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
			acked[0]++
		}
		_, inserted := orders.InsertOne(ctx, viewDoc(i, 1))
		if inserted == nil {
			acked[1]++
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
		_ = client.Disconnect(context.WithoutCancel(ctx)) // its server was killed; there is nobody to say goodbye to
	}
	return js, client.Database("shop").Collection("orders"), stop, nil
}
