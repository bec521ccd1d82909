package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
// streams and all reads go on; and it never raises its limit of stored bytes. Clients reconnect by themselves. Watch returns an
// error when the server cannot write for another reason, or does not start again; the process must end then.
func (n *NATS) Watch(ctx context.Context) error {
	for {
		problem := n.awaitWriteError(ctx)
		if problem == nil {
			return nil // ctx has ended
		}
		if !isFull(problem) {
			return fmt.Errorf("nats-server cannot write, check the disk of %s: %w", n.config.Dir, problem)
		}
		problem = diskFull(n.config.Dir, problem)
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
		srv := n.server.Load()
		if problem = writeError(srv); problem == nil && n.config.MaxStore == 0 {
			problem = limitReached(srv)
		}
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

// errLimit is returned when the server has reached the limit that StartNATS computed from the free space.
var errLimit = errors.New("limit of the store reached")

// limitReached returns errLimit when the server stores as many bytes as it may.
func limitReached(srv *server.Server) error {
	info, err := srv.Jsz(nil)
	if err != nil || info.Disabled || int64(info.Store) <= info.Config.MaxStore { //nolint:gosec // bytes on a disk
		return nil //nolint:nilerr // writeError reports a server without JetStream
	}
	return fmt.Errorf("%w: %d bytes", errLimit, info.Config.MaxStore)
}

// storeLimit is how many bytes the server may store: what it stores, and three quarters of the free space. The other quarter is
// for the database on the same disk, and for the server's own files.
func storeLimit(dir string) (int64, error) {
	free, err := FreeBytes(dir)
	if err != nil {
		return 0, err
	}
	used := int64(0)
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			used += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", dir, err)
	}
	return used + int64(free/4*3), nil //nolint:gosec // bytes on a disk
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
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, errLimit)
}

// diskFull returns [ErrDiskFull] with the remedy.
func diskFull(dir string, cause error) error {
	return fmt.Errorf("free space on the disk of %s: %w: %w", dir, ErrDiskFull, cause)
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

// run starts the server on a disk that has space. On a full disk it would start and then store nothing.
func (c NATSConfig) run(opts *server.Options) (_ *server.Server, err error) {
	if err := tryWrite(c.Dir); err != nil && isFull(err) {
		return nil, diskFull(c.Dir, err)
	}
	if c.MaxStore == 0 {
		if opts.JetStreamMaxStore, err = storeLimit(c.Dir); err != nil {
			return nil, err
		}
	}
	return runNATS(opts, c.Logger)
}

func (n *NATS) restart() error {
	opts, err := n.config.options()
	if err != nil {
		return fmt.Errorf("restart nats-server: %w", err)
	}
	srv, err := n.config.run(opts)
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
	for ctx.Err() == nil && !done() {
		select {
		case <-ctx.Done():
		case <-time.After(watchEvery):
		}
	}
}
