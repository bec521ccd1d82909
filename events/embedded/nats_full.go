package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ErrDiskFull is returned while the server cannot write because its disk is full.
var ErrDiskFull = errors.New("the disk is full")

const (
	// watchEvery is how often Watch asks the server whether it can write.
	watchEvery = 500 * time.Millisecond

	// spaceNeeded is the space that must be free before the server is restarted. It covers what the server writes at its start.
	spaceNeeded = 1 << 20
)

// Watch restarts the server inside the process after a full disk, when there is space again, until ctx ends. nats-server
// (2.15.2) remembers the first failed write of each stream and answers no later one until it is restarted, although other
// streams and all reads go on. Clients reconnect by themselves. Watch returns an error when the server cannot write for another
// reason, or does not start again; the process must end then.
func (n *NATS) Watch(ctx context.Context) error {
	for {
		problem := n.awaitWriteError(ctx)
		if problem == nil {
			return nil // ctx has ended
		}
		if !isFull(problem) {
			return fmt.Errorf("nats-server cannot write, check the disk of %s: %w", n.config.Dir, problem)
		}
		problem = fmt.Errorf("free space on the disk of %s: %w: %w", n.config.Dir, ErrDiskFull, problem)
		n.problem.Store(&problem)
		n.log.Error("broker cannot write", "error", problem)
		if err := n.restartWithSpace(ctx); err != nil || ctx.Err() != nil {
			return err
		}
		n.problem.Store(nil)
		n.log.Warn("broker restarted: the disk has space again")
	}
}

// Problem returns [ErrDiskFull] from the failed write until the server is restarted, otherwise nil. It needs Watch.
func (n *NATS) Problem() error {
	if problem := n.problem.Load(); problem != nil {
		return *problem
	}
	return nil
}

// InProcessConn implements [nats.InProcessConnProvider]. A client that reconnects gets a connection to the restarted server.
func (n *NATS) InProcessConn() (net.Conn, error) { return n.server.Load().InProcessConn() }

// awaitWriteError waits until a stream could not be written. It returns nil when ctx ends first.
func (n *NATS) awaitWriteError(ctx context.Context) (problem error) {
	poll(ctx, func() bool {
		problem = writeError(n.server.Load())
		return problem != nil
	})
	return problem
}

// writeError returns why a stream of the server cannot be written any more, or why JetStream has stopped; nil when all is well.
// nats-server tells this only by its health check.
func writeError(srv *server.Server) error {
	var answer answer
	srv.HandleHealthz(&answer, &http.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: "details=true"}})
	var health server.HealthStatus
	if err := json.Unmarshal(answer.Bytes(), &health); err != nil {
		return fmt.Errorf("read health of nats-server: %w", err)
	}
	var problems []error
	for _, e := range health.Errors {
		if e.Type == server.HealthzErrorJetStream || strings.Contains(e.Error, "write error") {
			problems = append(problems, errors.New(e.Error))
		}
	}
	return errors.Join(problems...)
}

// answer is an [http.ResponseWriter] that keeps the body.
type answer struct{ bytes.Buffer }

func (*answer) Header() http.Header { return http.Header{} }
func (*answer) WriteHeader(int)     {}

// fullTexts are the texts of the operating systems' errors for a full disk. The server's health check has only the text.
var fullTexts = []string{"no space left", "quota exceeded", "not enough space"}

func isFull(err error) bool {
	for _, text := range fullTexts {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return errors.Is(err, syscall.ENOSPC)
}

// restartWithSpace restarts the server as soon as there is space. Until then it answers reads.
func (n *NATS) restartWithSpace(ctx context.Context) (err error) {
	poll(ctx, func() bool {
		if tryWrite(n.config.Dir) != nil {
			return false
		}
		n.shutDown()
		err = n.restart()
		return err == nil || !isFull(err)
	})
	return err
}

func (n *NATS) restart() error {
	opts, err := n.config.options()
	if err != nil {
		return fmt.Errorf("restart nats-server: %w", err)
	}
	srv, err := runNATS(opts, n.log)
	if err != nil {
		return fmt.Errorf("restart nats-server: %w", err)
	}
	n.server.Store(srv)
	return nil
}

// tryWrite writes and removes a file, because a quota does not show in the free bytes of the disk.
func tryWrite(dir string) error {
	path := filepath.Join(dir, "space-probe")
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("try to write to %s: %w", dir, err)
	}
	_, err = file.Write(make([]byte, spaceNeeded))
	return errors.Join(err, file.Sync(), file.Close(), os.Remove(path))
}

// poll calls done after each interval until it returns true or ctx ends.
func poll(ctx context.Context, done func() bool) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			ended = done()
		}
	}
}
