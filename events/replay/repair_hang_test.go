package replay_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events/replay"
)

// deaf is a network that loses what is restored, and says when.
type deaf struct{ lost func() }

func (d deaf) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	return &deafConn{conn, d.lost}, err
}

type deafConn struct {
	net.Conn
	lost func()
}

func (c *deafConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(jetstream.ExpectedLastSeqHeader)) {
		c.lost()
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// Ctrl-C ends a repair whose broker does not answer, and the next one does the rest.
func TestARepairThatNobodyAnswersEnds(t *testing.T) {
	t.Parallel()
	c := newTwoCopies(t)
	backup := filepath.Join(t.TempDir(), "backup")
	c.backup(backup)
	c.move("1", "A", "", 1)
	c.move("2", "A", "", 2)
	c.archive()
	c.putBack(backup)
	ctx, interrupt := context.WithCancel(t.Context())
	conn, err := nats.Connect(c.server.URL(), nats.SetCustomDialer(deaf{interrupt}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader, err := replay.Open(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := replay.Repair{DB: c.db, Log: reader}.Run(ctx)
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	c.repair(false)
	c.whole("1", "2")
}
