package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
)

// dropHalfMade removes collections that a killed process has left half made. FerretDB makes one in three steps, each on
// disk by itself: the table, its line in the list of collections, the index by _id. After the first it would refuse for
// ever to make the collection ("table already exists"); after the second it would use it without an index, and so take
// documents twice that have one _id. Nothing is in a collection before its index is made.
func dropHalfMade(dir string, log *slog.Logger) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.sqlite"))
	if err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	for _, file := range files {
		dropped, err := dropHalfMadeIn(context.Background(), file)
		if err != nil {
			return fmt.Errorf("drop half-made collections of %s: %w", filepath.Base(file), err)
		}
		if len(dropped) > 0 {
			log.Warn("removed collections that were never finished", "file", file, "tables", dropped)
		}
	}
	return nil
}

// FerretDB's list of collections, and its tables that are listed there with a unique index. The first query finds nothing
// in a file that has no such list yet.
const (
	hasList   = `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_ferretdb_collections'`
	halfMade  = `SELECT name FROM sqlite_schema WHERE type = 'table' AND name != '_ferretdb_collections' AND name NOT LIKE 'sqlite_%' AND (` + notListed + ` OR ` + noIndex + `)`
	notListed = `name NOT IN (SELECT table_name FROM _ferretdb_collections)`
	noIndex   = `name NOT IN (SELECT tbl_name FROM sqlite_schema WHERE type = 'index' AND sql LIKE 'CREATE UNIQUE INDEX%')`
)

func dropHalfMadeIn(ctx context.Context, file string) (dropped []string, err error) {
	dsn, err := existingURL(file)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var listed int
	if err := db.QueryRowContext(ctx, hasList).Scan(&listed); err != nil || listed == 0 {
		return nil, err
	}
	tables, err := names(ctx, db, halfMade)
	if err != nil {
		return nil, err
	}
	for _, table := range tables {
		empty, err := isEmpty(ctx, db, table)
		if err != nil {
			return dropped, err
		}
		if !empty {
			continue // somebody has used it without its index: its documents are not ours to throw away
		}
		// The line first: without it, what is left is what the next start drops.
		if _, err := db.ExecContext(ctx, `DELETE FROM _ferretdb_collections WHERE table_name = ?`, table); err != nil {
			return dropped, err
		}
		if _, err := db.ExecContext(ctx, fmt.Sprintf("DROP TABLE %q", table)); err != nil {
			return dropped, err
		}
		dropped = append(dropped, table)
	}
	return dropped, nil
}

func isEmpty(ctx context.Context, db *sql.DB, table string) (bool, error) {
	var rows int
	err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM %q LIMIT 1)", table)).Scan(&rows)
	return rows == 0, err
}

func names(ctx context.Context, db *sql.DB, query string) (found []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		found = append(found, name)
	}
	return found, rows.Err()
}
