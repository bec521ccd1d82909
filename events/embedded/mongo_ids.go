package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver FerretDB itself opens its files with
)

// FerretDB makes its unique index by _id on one spelling of the value and asks for another, which SQLite's planner
// does not recognise as the same: every look-up reads the whole table. The mended index replaces the made one under
// its name, so uniqueness holds as before and nothing is kept twice.
const (
	madeExpression = `_ferretdb_sjson->"_id"`
	usedExpression = `_ferretdb_sjson->'$._id'`

	// idLookout is how often changed files are searched for new collections. Until then a collection is slow, not wrong.
	idLookout = 100 * time.Millisecond
)

// idIndexer mends the index by _id of every collection. It works on the files through short connections of its own:
// one that stayed open would keep the write-ahead log of a dropped database alive for the next of that name.
type idIndexer struct {
	dir string
	log *slog.Logger

	mu   sync.Mutex
	seen map[string]fileState // by database file, at the last search
}

// fileState tells whether anything was written to a database since.
type fileState struct {
	main, wal fileStamp
}

type fileStamp struct {
	size int64
	time time.Time
}

func newIDIndexer(dir string, log *slog.Logger) *idIndexer {
	return &idIndexer{dir: dir, log: log, seen: map[string]fileState{}}
}

// keep searches for new collections until ctx ends.
func (x *idIndexer) keep(ctx context.Context) {
	tick := time.NewTicker(idLookout)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := x.search(ctx); err != nil && ctx.Err() == nil {
				x.log.Warn("mend indexes by _id", "error", err)
			}
		}
	}
}

// search mends what was made since the last search.
func (x *idIndexer) search(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	files, err := filepath.Glob(filepath.Join(x.dir, "*.sqlite"))
	if err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	var errs []error
	for _, file := range files {
		now := stateOf(file)
		if x.seen[file] == now {
			continue
		}
		if err := mendFile(ctx, file); err != nil {
			errs = append(errs, fmt.Errorf("database %s: %w", filepath.Base(file), err))
			continue
		}
		x.seen[file] = now
	}
	return errors.Join(errs...)
}

func stateOf(file string) fileState {
	return fileState{main: stampOf(file), wal: stampOf(file + "-wal")}
}

// stampOf is zero for a file that is not there.
func stampOf(file string) fileStamp {
	info, err := os.Stat(file)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{size: info.Size(), time: info.ModTime()}
}

// mendFile mends every collection of one database. The database may be dropped at any moment, which is no error.
func mendFile(ctx context.Context, file string) (err error) {
	dsn, err := existingURL(file)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	made, err := madeIndexes(ctx, db)
	if err != nil {
		if _, gone := os.Stat(file); errors.Is(gone, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("list indexes: %w", err)
	}
	for _, index := range made {
		if err := mendIndex(ctx, db, index); err != nil {
			return fmt.Errorf("index %s: %w", index.name, err)
		}
	}
	return nil
}

// existingURL opens the file as FerretDB does, but never makes it: it may just have been dropped.
func existingURL(file string) (string, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", fmt.Errorf("file %s: %w", file, err)
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), OmitHost: true}
	u.RawQuery = url.Values{"mode": {"rw"}, "_pragma": sqlitePragmas(), "_txlock": {"immediate"}}.Encode()
	return u.String(), nil
}

// madeIndex is an index of FerretDB's making: its name and the statement that makes it.
type madeIndex struct{ name, statement string }

func madeIndexes(ctx context.Context, db *sql.DB) (made []madeIndex, err error) {
	const query = `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql LIKE '%(' || ? || ')'`
	rows, err := db.QueryContext(ctx, query, madeExpression)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var index madeIndex
		if err := rows.Scan(&index.name, &index.statement); err != nil {
			return nil, err
		}
		made = append(made, index)
	}
	return made, rows.Err()
}

// mendIndex replaces the index in one transaction, so that no moment is without uniqueness. When the collection was
// dropped meanwhile there is nothing to drop and the transaction is given up.
func mendIndex(ctx context.Context, db *sql.DB, index madeIndex) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if undo := tx.Rollback(); !errors.Is(undo, sql.ErrTxDone) {
			err = errors.Join(err, undo)
		}
	}()
	var there int
	const query = `SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = ? AND sql = ?`
	if err := tx.QueryRowContext(ctx, query, index.name, index.statement).Scan(&there); err != nil || there == 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("DROP INDEX %q", index.name)); err != nil {
		return err
	}
	mended := strings.Replace(index.statement, madeExpression, usedExpression, 1)
	if _, err := tx.ExecContext(ctx, mended); err != nil {
		return err
	}
	return tx.Commit()
}
