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

	_ "modernc.org/sqlite" // the driver with which FerretDB opens its files
)

// FerretDB creates its unique index by _id on one expression and queries another one. They are equal, but SQLite's planner
// does not recognize that, so every lookup reads the whole table. The indexer replaces each index by one on the queried
// expression with the same name, so that _id stays unique and is indexed once.
const (
	createdExpression = `_ferretdb_sjson->"_id"`
	queriedExpression = `_ferretdb_sjson->'$._id'`

	// indexInterval is how often changed files are searched for new collections. Until then lookups are slow but correct.
	indexInterval = 100 * time.Millisecond
)

// idIndexer replaces the index by _id of every collection. It opens a file only for as long as it needs: an open connection would
// keep the write-ahead log of a dropped database for the next database of that name.
type idIndexer struct {
	dir string
	log *slog.Logger

	mu   sync.Mutex
	seen map[string]fileState // by database file, at the last search
}

// fileState changes whenever the database is written.
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

// run searches for new collections until ctx ends.
func (x *idIndexer) run(ctx context.Context) {
	tick := time.NewTicker(indexInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := x.search(ctx); err != nil && ctx.Err() == nil {
				x.log.Warn("indexes by _id not replaced", "error", err)
			}
		}
	}
}

// search replaces the indexes that were created since the last search.
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
		if err := repairIndexes(ctx, file); err != nil {
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

// stampOf returns zero for a file that does not exist.
func stampOf(file string) fileStamp {
	info, err := os.Stat(file)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{size: info.Size(), time: info.ModTime()}
}

// repairIndexes replaces the indexes of one database. The database may be dropped at any moment, which is not an error.
func repairIndexes(ctx context.Context, file string) error {
	return withDatabase(file, func(db *sql.DB) error {
		created, err := createdIndexes(ctx, db)
		if err != nil {
			if _, gone := os.Stat(file); errors.Is(gone, fs.ErrNotExist) {
				return nil
			}
			return fmt.Errorf("list indexes: %w", err)
		}
		for _, index := range created {
			if err := replaceIndex(ctx, db, index); err != nil {
				return fmt.Errorf("index %s: %w", index.name, err)
			}
		}
		return nil
	})
}

// existingURL returns a URL with FerretDB's settings that does not create the file: the database may just have been dropped.
func existingURL(file string) (string, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", fmt.Errorf("file %s: %w", file, err)
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), OmitHost: true}
	u.RawQuery = url.Values{"mode": {"rw"}, "_pragma": sqlitePragmas(), "_txlock": {"immediate"}}.Encode()
	return u.String(), nil
}

// createdIndex is an index that FerretDB has created.
type createdIndex struct{ name, statement string }

func createdIndexes(ctx context.Context, db *sql.DB) (created []createdIndex, err error) {
	const query = `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql LIKE '%(' || ? || ')'`
	rows, err := db.QueryContext(ctx, query, createdExpression)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var index createdIndex
		if err := rows.Scan(&index.name, &index.statement); err != nil {
			return nil, err
		}
		created = append(created, index)
	}
	return created, rows.Err()
}

// replaceIndex replaces an index in one transaction, so that _id is unique at all times. It does nothing if the collection was
// dropped meanwhile.
func replaceIndex(ctx context.Context, db *sql.DB, index createdIndex) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if rollback := tx.Rollback(); !errors.Is(rollback, sql.ErrTxDone) {
			err = errors.Join(err, rollback)
		}
	}()
	var count int
	const query = `SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = ? AND sql = ?`
	if err := tx.QueryRowContext(ctx, query, index.name, index.statement).Scan(&count); err != nil || count == 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("DROP INDEX %q", index.name)); err != nil {
		return err
	}
	statement := strings.Replace(index.statement, createdExpression, queriedExpression, 1)
	if _, err := tx.ExecContext(ctx, statement); err != nil {
		return err
	}
	return tx.Commit()
}
