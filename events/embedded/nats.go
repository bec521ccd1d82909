package embedded

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	// maxPayload bounds one message. Ours are a few KB; what is larger is a mistake worth refusing.
	maxPayload = 1 << 20

	// natsReady bounds the start. Reading a large store back takes seconds, not minutes.
	natsReady = 30 * time.Second

	// memoryStore bounds JetStream's memory streams. The shop keeps everything on disk; what is left is for tools.
	memoryStore = 64 << 20
)

// NATSConfig says where the broker keeps its files and where it listens.
type NATSConfig struct {
	// Addr is the TCP address to listen on; port 0 takes any free one. Default 127.0.0.1:0.
	Addr string

	// Dir holds the streams. It is made when missing. Required.
	Dir string

	// Logger hears the server; its notices arrive at debug level. Default: nobody listens.
	Logger *slog.Logger

	// MaxStore bounds the bytes JetStream may keep on disk. Default: three quarters of what is free.
	MaxStore int64

	// ServerName is what the server calls itself. Default "tillstream".
	ServerName string
}

// NATS is a running nats-server with JetStream.
type NATS struct {
	server *server.Server
	dir    io.Closer
	log    *slog.Logger
}

// StartNATS starts a nats-server and returns when it takes connections. It returns ErrAddrInUse or ErrDirInUse when
// somebody else has what it needs, and ErrNotReady with the server's own words when it does not come up.
func StartNATS(cfg NATSConfig) (*NATS, error) {
	cfg = cfg.withDefaults()
	opts, err := cfg.options()
	if err != nil {
		return nil, fmt.Errorf("start nats-server: %w", err)
	}
	if err := tryAddr(cfg.Addr); err != nil {
		return nil, fmt.Errorf("start nats-server: %w", err)
	}
	dir, err := LockDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start nats-server: %w", err)
	}
	srv, err := runNATS(opts, cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("start nats-server: %w", errors.Join(err, dir.Close()))
	}
	return &NATS{server: srv, dir: dir, log: cfg.Logger}, nil
}

// runNATS starts the server and waits until it is ready or has said why it never will be.
func runNATS(opts *server.Options, log *slog.Logger) (*server.Server, error) {
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, err
	}
	heard := newNATSLog(log)
	srv.SetLoggerV2(heard, false, false, false)
	srv.Start()

	if waitReady(srv, heard) && srv.JetStreamEnabled() {
		return srv, nil
	}
	srv.Shutdown()
	srv.WaitForShutdown()
	select {
	case text := <-heard.fatal:
		return nil, fmt.Errorf("%w: %s", ErrNotReady, text)
	default:
		return nil, fmt.Errorf("%w after %s", ErrNotReady, natsReady)
	}
}

// waitReady waits in short steps, so that a fatal message is answered at once and not after the whole bound.
func waitReady(srv *server.Server, heard *natsLog) bool {
	for deadline := time.Now().Add(natsReady); time.Now().Before(deadline); {
		if len(heard.fatal) > 0 {
			return false
		}
		if srv.ReadyForConnections(20 * time.Millisecond) {
			return true
		}
	}
	return false
}

func (c NATSConfig) withDefaults() NATSConfig {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.ServerName == "" {
		c.ServerName = "tillstream"
	}
	return c
}

// options are the server's settings. SyncAlways is what an acknowledged order rests on: without it the server syncs
// every two minutes and a power cut takes all of them.
func (c NATSConfig) options() (*server.Options, error) {
	host, port, err := splitAddr(c.Addr)
	if err != nil {
		return nil, err
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return &server.Options{
		ServerName:             c.ServerName,
		Host:                   host,
		Port:                   port,
		JetStream:              true,
		StoreDir:               c.Dir,
		SyncAlways:             true,
		JetStreamMaxMemory:     memoryStore,
		JetStreamMaxStore:      c.MaxStore,
		MaxPayload:             maxPayload,
		NoSigs:                 true, // signals belong to cmd
		NoLog:                  true, // no log file of its own; runNATS sets the logger
		DisableJetStreamBanner: true,
	}, nil
}

// URL is where clients of other processes connect.
func (n *NATS) URL() string { return n.server.ClientURL() }

// MaxStore is how many bytes the server may keep on disk.
func (n *NATS) MaxStore() int64 { return n.server.JetStreamConfig().MaxStore }

// Conn connects this process to the server, past the network. A request then takes half as long as over loopback TCP
// (23 µs against 47 µs on two cores); batches of 300 commit at the same rate, since the disk decides; a consumer reads
// 200,000 messages/s instead of 280,000, far above what anybody here handles. The caller closes the connection.
func (n *NATS) Conn(opts ...nats.Option) (*nats.Conn, error) {
	conn, err := nats.Connect(n.URL(), append([]nats.Option{nats.InProcessServer(n.server)}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to embedded nats-server: %w", err)
	}
	return conn, nil
}

// Stop shuts the server down and returns when its files are closed. Stopping twice is harmless.
func (n *NATS) Stop() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
	if err := n.dir.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		n.log.Error("release the directory of nats-server", "error", err)
	}
}
