package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"
)

var (
	// ErrAddrInUse is returned when another program already listens on the wanted address.
	ErrAddrInUse = errors.New("address is in use")

	// ErrStopped is returned to a client whose mail came after Stop.
	ErrStopped = errors.New("inbox has stopped")
)

const (
	// maxBytes bounds one mail. Ours are a few KB.
	maxBytes = 8 << 20

	// patience bounds how long a silent client keeps its connection.
	patience = 10 * time.Minute
)

// Config says where the inbox listens and what it keeps.
type Config struct {
	// Addr is the TCP address to take mail on; port 0 takes any free one. Default 127.0.0.1:0.
	Addr string

	// Dir holds the journal. It is made when missing. Default: memory only.
	Dir string

	// Keep is how many mails are kept; older ones make room. Default 10,000.
	Keep int

	// Logger hears what goes wrong. Default: nobody listens.
	Logger *slog.Logger

	// Now tells the time a mail is received at. Default time.Now.
	Now func() time.Time
}

// Inbox is a running mailbox.
type Inbox struct {
	cfg      Config
	server   *smtp.Server
	listener net.Listener
	journal  *journal

	running   context.Context // ends with Stop, for behaviours that hang
	stop      context.CancelFunc
	serving   sync.WaitGroup
	behaviour atomic.Pointer[Behaviour]

	mu      sync.RWMutex
	mails   []envelope // oldest first; at most twice Keep, of which the last Keep count
	last    uint64     // id of the newest
	stopped bool
}

// Start reads the journal back and takes mail. It returns ErrAddrInUse when somebody else has the address.
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
			cfg.Logger.Error("mail inbox ended", "error", err)
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
	if cfg.Dir != "" {
		var err error
		if i.journal, i.mails, err = openJournal(cfg.Dir, cfg.Keep, cfg.Logger); err != nil {
			return nil, err
		}
	}
	if n := len(i.mails); n > 0 {
		i.last = i.mails[n-1].id
	}
	i.server = newServer(i)
	return i, nil
}

// Addr is where mail is taken.
func (i *Inbox) Addr() string { return i.listener.Addr().String() }

// Stop closes all connections and the journal. A mail that was not answered 250 by then may or may not be kept, as
// with any mail server. Stopping twice is harmless.
func (i *Inbox) Stop() {
	i.stop()
	// The server closes the listeners it has heard of. Right after Start it may not have heard of ours yet.
	for _, err := range []error{i.server.Close(), i.listener.Close()} {
		if err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			i.cfg.Logger.Error("close mail inbox", "error", err)
		}
	}
	i.serving.Wait()

	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return
	}
	i.stopped = true
	if err := i.journal.close(); err != nil {
		i.cfg.Logger.Error("close journal of mail inbox", "error", err)
	}
}

// keep numbers a mail and keeps it: first in the journal, then among those that can be found.
func (i *Inbox) keep(m Message) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return ErrStopped
	}
	m.ID = i.last + 1
	m.ReceivedAt = i.cfg.Now().UTC()
	e, err := i.journal.append(m)
	if err != nil {
		return err
	}
	i.last = m.ID
	i.mails = append(i.mails, e)
	if len(i.mails) >= 2*i.cfg.Keep {
		i.forget()
	}
	return nil
}

// forget lets go of all but the newest mails, in memory and in the journal. That it fails is not said to the client:
// its mail is kept, and it would send it again.
func (i *Inbox) forget() {
	var err error
	if i.mails, err = i.journal.rewrite(slices.Clone(i.kept())); err != nil {
		i.cfg.Logger.Error("make the journal of mail inbox shorter", "error", err)
	}
}

// Messages are the mails to an address, newest first, whatever its case; to nobody in particular they are all.
func (i *Inbox) Messages(to string) []Message {
	mails, _, err := i.read(addressedTo(to), math.MaxInt)
	if err != nil {
		i.cfg.Logger.Error("read mails", "to", to, "error", err)
	}
	return mails
}

func (i *Inbox) kept() []envelope {
	return i.mails[max(0, len(i.mails)-i.cfg.Keep):]
}
