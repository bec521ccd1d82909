package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"

	"tillstream/events/embedded/journal"
)

var (
	// ErrAddrInUse is returned by Start when another program listens on the address.
	ErrAddrInUse = errors.New("address is in use")

	// ErrStopped is the reason for refusing a mail that arrives after Stop.
	ErrStopped = errors.New("inbox has stopped")
)

const (
	// maxBytes bounds one mail. The shop's mails have a few KB.
	maxBytes = 8 << 20

	// idleTimeout bounds how long a silent client keeps its connection.
	idleTimeout = 10 * time.Minute
)

// Config configures an inbox.
type Config struct {
	// Addr is the TCP address of the SMTP server; port 0 is any free one. Default 127.0.0.1:0.
	Addr string

	// Dir is the directory of the journal, created if missing. One process at a time may use it. Default: mails are kept in
	// memory.
	Dir string

	// Keep is how many mails are kept; older ones are dropped. Default 10,000.
	Keep int

	// Logger receives warnings and errors. Default: nothing is logged.
	Logger *slog.Logger

	// Now is the clock of ReceivedAt. Default time.Now.
	Now func() time.Time
}

// Inbox is a running mailbox.
type Inbox struct {
	cfg      Config
	server   *smtp.Server
	listener net.Listener
	journal  *journal.Journal

	running     context.Context // ends with Stop, for interceptors that hang
	stop        context.CancelFunc
	serving     sync.WaitGroup
	interceptor atomic.Pointer[Interceptor]

	mu      sync.RWMutex
	mails   []envelope // oldest first; fewer than twice Keep, of which only the last Keep are shown
	last    uint64     // id of the newest mail
	stopped bool
}

// Start opens the journal and accepts mail. It returns ErrAddrInUse when another program listens on the address, and
// journal.ErrInUse when another process uses the directory.
func Start(cfg Config) (*Inbox, error) {
	cfg = cfg.withDefaults()
	l, err := listen(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("start mail inbox: %w", err)
	}
	i, err := newInbox(cfg)
	if err != nil {
		return nil, fmt.Errorf("start mail inbox: %w", errors.Join(err, l.Close()))
	}
	i.listener = l
	i.serving.Go(func() {
		if err := i.server.Serve(l); err != nil {
			cfg.Logger.Error("serve mail inbox", "error", err)
		}
	})
	return i, nil
}

func (c Config) withDefaults() Config {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.Keep <= 0 {
		c.Keep = 10_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("address %s is in use: %w", addr, errors.Join(ErrAddrInUse, err))
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

func newInbox(cfg Config) (*Inbox, error) {
	i := &Inbox{cfg: cfg}
	i.running, i.stop = context.WithCancel(context.Background())
	var err error
	if i.journal, i.mails, err = openJournal(cfg); err != nil {
		return nil, err
	}
	if n := len(i.mails); n > 0 {
		i.last = i.mails[n-1].id
	}
	i.server = newServer(i)
	return i, nil
}

// Addr returns the address of the SMTP server.
func (i *Inbox) Addr() string { return i.listener.Addr().String() }

// Stop closes all connections and the journal. A mail that was not answered 250 by then may or may not be stored, as in any mail
// server. A second call has no effect.
func (i *Inbox) Stop() {
	i.stop()
	// The server closes only listeners that it serves already, which it may not right after Start.
	for _, err := range []error{i.server.Close(), i.listener.Close()} {
		if err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			i.cfg.Logger.Error("stop mail inbox", "error", err)
		}
	}
	i.serving.Wait()

	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return
	}
	i.stopped = true
	if err := i.journal.Close(); err != nil {
		i.cfg.Logger.Error("stop mail inbox", "error", err)
	}
}

// Messages returns the mails to an address, case-insensitive, or all mails if it is empty. The newest is first.
func (i *Inbox) Messages(to string) []Message {
	mails, err := i.readAll(i.list(addressedTo(to)))
	if err != nil {
		i.cfg.Logger.Error("read mails", "to", to, "error", err)
	}
	return mails
}
