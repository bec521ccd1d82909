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
	"sync"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// MongoConfig says where FerretDB keeps its files and where it listens.
type MongoConfig struct {
	// Addr is the TCP address to listen on; port 0 takes any free one. Default 127.0.0.1:0.
	Addr string

	// Dir holds one SQLite file per database. It is made when missing. Required: FerretDB hangs without files.
	Dir string

	// Logger hears the server's warnings and errors. Default: nobody listens.
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

// StartMongo starts FerretDB and returns when it takes connections. It returns ErrAddrInUse or ErrDirInUse when
// somebody else has what it needs.
func StartMongo(cfg MongoConfig) (*Mongo, error) {
	cfg = cfg.withDefaults()
	if err := tryAddr(cfg.Addr); err != nil {
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

// openMongo starts the server on what is whole of its files.
func openMongo(cfg MongoConfig) (*Mongo, error) {
	if err := removeUnborn(cfg.Dir, cfg.Logger); err != nil {
		return nil, err
	}
	if err := dropHalfMade(cfg.Dir, cfg.Logger); err != nil {
		return nil, err
	}
	return runMongo(cfg)
}

// starting is held while a server is made: ferretdb.New v1.24.2 writes to variables of its package.
var starting sync.Mutex

// runMongo starts the server and, beside it, the keeper of the indexes it fails to make. The listener is open when
// ferretdb.New returns, so a client that comes before Run accepts simply waits in the kernel's queue.
func runMongo(cfg MongoConfig) (*Mongo, error) {
	files, err := sqliteURL(cfg.Dir)
	if err != nil {
		return nil, err
	}
	starting.Lock()
	db, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: cfg.Addr},
		Logger:    quiet(cfg.Logger),
		Handler:   "sqlite",
		SQLiteURL: files,
	})
	starting.Unlock()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Mongo{uri: db.MongoDBURI(), files: cfg.Dir, log: cfg.Logger, ids: newIDIndexer(cfg.Dir, cfg.Logger)}

	var running sync.WaitGroup
	running.Go(func() { m.run(ctx, db) })
	running.Go(func() { m.ids.keep(ctx) })
	m.stop = func() { cancel(); running.Wait() }
	return m, nil
}

func (m *Mongo) run(ctx context.Context, db *ferretdb.FerretDB) {
	if err := db.Run(ctx); err != nil {
		m.log.Error("ferretdb ended", "error", err)
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

// busyTimeout is how long a statement waits for another connection's write to end before it gives up.
const busyTimeout = 10 * time.Second

// sqliteURL says where the files are and how SQLite treats them: a write-ahead log that survives a killed process
// and needs no sync per transaction. A power cut may take the last documents, which the log gives back.
func sqliteURL(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("directory %s: %w", dir, err)
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(abs) + "/", OmitHost: true}
	u.RawQuery = url.Values{"_pragma": sqlitePragmas()}.Encode()
	return u.String(), nil
}

func sqlitePragmas() []string {
	return []string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), // first: turning the log on may have to wait
		"journal_mode(wal)",
		"synchronous(normal)",
		// Moving the log into the file is what costs: 32 MB at a time replaces documents at twice the rate of the default 4.
		"wal_autocheckpoint(8000)",
	}
}

// Sync makes last what was written so far: until then a power cut may take it. To have every write wait for the disk
// (synchronous FULL) would make each replaced document cost a sync of its own; this is one for as many as there are.
func (m *Mongo) Sync() error {
	logs, err := filepath.Glob(filepath.Join(m.files, "*.sqlite-wal"))
	if err != nil {
		return fmt.Errorf("sync ferretdb: %w", err)
	}
	for _, path := range append(logs, m.files) { // the directory too, for files that are new
		if err := syncFile(path); err != nil {
			return fmt.Errorf("sync ferretdb: %w", err)
		}
	}
	return nil
}

// syncFile syncs a file that others write. One that is gone was dropped, or moved into the database, synced.
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
		err = nil // it syncs neither directories nor what was opened to be read
	}
	return errors.Join(err, file.Close())
}

// URI is where clients connect; it needs no further options.
func (m *Mongo) URI() string { return m.uri }

// Stop shuts the server down and returns when its files are closed. Connections that are still open are given three
// seconds, so disconnect clients first. Stopping twice is harmless.
func (m *Mongo) Stop() {
	m.stop()
	if err := m.dir.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		m.log.Error("release the directory of ferretdb", "error", err)
	}
}

// IndexIDs makes look-ups by _id fast in all collections that exist now, and waits for it. The server does the same
// by itself a moment after a collection was made; tests and measurements that cannot wait for a moment call this.
func (m *Mongo) IndexIDs(ctx context.Context) error {
	if err := m.ids.search(ctx); err != nil {
		return fmt.Errorf("index collections by _id: %w", err)
	}
	return nil
}
