package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// MongoConfig configures FerretDB.
type MongoConfig struct {
	// Addr is the TCP address to listen on; port 0 chooses a free one. Default 127.0.0.1:0.
	Addr string

	// Dir contains one SQLite file per database. It is made if it does not exist. Required: FerretDB hangs without files.
	Dir string

	// KeyFile is the file with the private key and the certificate that a client must present; [Mongo.URI] names it. It is made
	// if it does not exist, readable by its owner only. Default: every client may connect, without TLS, for tests.
	KeyFile string

	// Logger receives the server's warnings and errors. Default: they are discarded.
	Logger *slog.Logger
}

// Mongo is a running FerretDB.
type Mongo struct {
	uri   string
	dir   io.Closer
	files string // the directory
	log   *slog.Logger
	ids   *idIndexer
	stop  func()
}

// StartMongo starts FerretDB and returns when it accepts connections. It returns ErrAddrInUse or ErrDirInUse when the address
// or the directory is in use.
func StartMongo(cfg MongoConfig) (*Mongo, error) {
	cfg = cfg.withDefaults()
	if err := checkAddr(cfg.Addr); err != nil {
		return nil, fmt.Errorf("start ferretdb: %w", err)
	}
	dir, err := LockDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start ferretdb: %w", err)
	}
	m, err := openMongo(cfg)
	if err != nil {
		return nil, fmt.Errorf("start ferretdb: %w", errors.Join(err, dir.Close()))
	}
	m.dir = dir
	return m, nil
}

// starting is held during ferretdb.New, which writes to package variables (v1.24.2).
var starting sync.Mutex

// openMongo repairs the files and starts the server and the indexer. ferretdb.New opens the listener, so clients that connect
// before Run accepts wait in the kernel's queue.
func openMongo(cfg MongoConfig) (*Mongo, error) {
	if err := repairFiles(cfg.Dir, cfg.Logger); err != nil {
		return nil, err
	}
	files, err := sqliteURL(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if cfg.KeyFile != "" {
		if cfg.KeyFile, err = filepath.Abs(cfg.KeyFile); err != nil {
			return nil, fmt.Errorf("key file: %w", err)
		}
		if err := makeKeyFile(cfg.KeyFile, cfg.Addr); err != nil {
			return nil, err
		}
	}
	starting.Lock()
	db, err := ferretdb.New(&ferretdb.Config{
		Listener:  cfg.listener(),
		Logger:    newMongoLog(cfg.Logger),
		Handler:   "sqlite",
		SQLiteURL: files,
	})
	starting.Unlock()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Mongo{uri: clientURI(db.MongoDBURI(), cfg.KeyFile), files: cfg.Dir, log: cfg.Logger, ids: newIDIndexer(cfg.Dir, cfg.Logger)}

	var running sync.WaitGroup
	running.Go(func() { m.run(ctx, db) })
	running.Go(func() { m.ids.run(ctx) })
	m.stop = func() { cancel(); running.Wait() }
	return m, nil
}

// listener returns where and how FerretDB listens. The embedded FerretDB v1 has no users: it accepts any password. TLS with a
// certificate that the client must present is the one authentication that it enforces.
func (c MongoConfig) listener() ferretdb.ListenerConfig {
	if c.KeyFile == "" {
		return ferretdb.ListenerConfig{TCP: c.Addr}
	}
	return ferretdb.ListenerConfig{TLS: c.Addr, TLSCertFile: c.KeyFile, TLSKeyFile: c.KeyFile, TLSCAFile: c.KeyFile}
}

func (m *Mongo) run(ctx context.Context, db *ferretdb.FerretDB) {
	if err := db.Run(ctx); err != nil {
		m.log.Error("ferretdb stopped", "error", err)
	}
}

func (c MongoConfig) withDefaults() MongoConfig {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// busyTimeout is how long a statement waits for another connection's write.
const busyTimeout = 10 * time.Second

// ErrDirName is returned for a directory whose name FerretDB cannot use.
var ErrDirName = errors.New("unusable name of a directory")

// urlCharacters have a meaning in a URL. FerretDB (v1.24.2) does not escape them when it opens a file, and would write to another
// directory.
const urlCharacters = "#?%"

// sqliteURL returns the URL with which FerretDB opens its files: with a write-ahead log, which survives a killed process and
// needs no sync per transaction. A power failure may lose the last documents; they are computed from the event log again.
func sqliteURL(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("directory %s: %w", dir, err)
	}
	if strings.ContainsAny(abs, urlCharacters) {
		return "", fmt.Errorf("%w: %s contains one of %s; choose another directory", ErrDirName, abs, urlCharacters)
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(abs) + "/", OmitHost: true}
	u.RawQuery = url.Values{"_pragma": sqlitePragmas()}.Encode()
	return u.String(), nil
}

func sqlitePragmas() []string {
	return []string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), // first: enabling the write-ahead log may have to wait
		"journal_mode(wal)",
		"synchronous(normal)",
		// Checkpoints are expensive: one per 32 MB replaces documents at twice the rate of the default 4 MB.
		"wal_autocheckpoint(8000)",
	}
}

// Sync makes all previous writes durable; without it a power failure may lose them. SQLite could sync at every write
// (synchronous FULL), but that would cost a sync per replaced document instead of one for many.
func (m *Mongo) Sync() error {
	logs, err := filepath.Glob(filepath.Join(m.files, "*.sqlite-wal"))
	if err != nil {
		return fmt.Errorf("sync ferretdb: %w", err)
	}
	for _, path := range append(logs, m.files) { // the directory too, for new files
		if err := syncFile(path); err != nil {
			return fmt.Errorf("sync ferretdb: %w", err)
		}
	}
	return nil
}

// syncFile syncs a file that FerretDB writes. A file that no longer exists was dropped, or checkpointed into the database and
// synced.
func syncFile(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = file.Sync()
	if runtime.GOOS == "windows" {
		err = nil // Windows syncs neither directories nor files opened for reading
	}
	return errors.Join(err, file.Close())
}

// URI returns the URI for clients on this machine. It needs no further options; it names the key file.
func (m *Mongo) URI() string { return m.uri }

// Stop stops the server and returns when its files are closed. It waits up to three seconds for open connections, so clients
// should be disconnected first. A second Stop does nothing.
func (m *Mongo) Stop() {
	m.stop()
	if err := m.dir.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		m.log.Error("directory of ferretdb not unlocked", "error", err)
	}
}

// IndexIDs makes lookups by _id fast in all existing collections, and returns when that is done. The server does the same by
// itself within 100 ms after a collection is created. Tests and benchmarks call IndexIDs so that they need not wait.
func (m *Mongo) IndexIDs(ctx context.Context) error {
	if err := m.ids.search(ctx); err != nil {
		return fmt.Errorf("index collections by _id: %w", err)
	}
	return nil
}
