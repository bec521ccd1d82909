package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// repairFiles removes what a process that died left incomplete in FerretDB's files.
//
// FerretDB creates the file of a database first and its list of collections second. On a file without that list it refuses to
// start. repairFiles removes such a file: the database never had a collection.
//
// FerretDB creates a collection in three steps, each durable on its own: the table, its entry in the list, the unique index by
// _id. After the first step only, it refuses to create the collection again ("table already exists"). After the second, it uses
// the collection without the index and accepts two documents of one _id. repairFiles drops such a collection: documents are
// inserted only after the index is created.
func repairFiles(dir string, log *slog.Logger) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.sqlite"))
	if err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	for _, file := range files {
		if err := repairFile(context.Background(), file, log); err != nil {
			return fmt.Errorf("repair database %s: %w", filepath.Base(file), err)
		}
	}
	return nil
}

func repairFile(ctx context.Context, file string, log *slog.Logger) error {
	var tables int
	var dropped []string
	err := withDatabase(file, func(db *sql.DB) error {
		err := db.QueryRowContext(ctx, countTables).Scan(&tables)
		if err == nil && tables > 0 {
			dropped, err = dropIncomplete(ctx, db)
		}
		return err
	})
	if err != nil {
		return err
	}
	if tables == 0 {
		log.Warn("incomplete database removed", "file", file)
		return removeDatabase(file)
	}
	if len(dropped) > 0 {
		log.Warn("incomplete collections dropped", "file", file, "tables", dropped)
	}
	return nil
}

func removeDatabase(file string) error {
	for _, part := range []string{file, file + "-wal", file + "-shm"} {
		if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// withDatabase opens an existing database file for one function.
func withDatabase(file string, do func(*sql.DB) error) (err error) {
	dsn, err := existingURL(file)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(db)
}

// incomplete selects the tables that have no entry in FerretDB's list of collections, or no unique index. A file may have tables
// but no list.
const (
	countTables = `SELECT count(*) FROM sqlite_schema WHERE type = 'table'`
	countLists  = `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_ferretdb_collections'`
	incomplete  = `SELECT name FROM sqlite_schema WHERE type = 'table' AND name != '_ferretdb_collections' AND name NOT LIKE 'sqlite_%' AND (` + notListed + ` OR ` + noIndex + `)`
	notListed   = `name NOT IN (SELECT table_name FROM _ferretdb_collections)`
	noIndex     = `name NOT IN (SELECT tbl_name FROM sqlite_schema WHERE type = 'index' AND sql LIKE 'CREATE UNIQUE INDEX%')`
)

func dropIncomplete(ctx context.Context, db *sql.DB) (dropped []string, err error) {
	var lists int
	if err := db.QueryRowContext(ctx, countLists).Scan(&lists); err != nil || lists == 0 {
		return nil, err
	}
	tables, err := queryNames(ctx, db, incomplete)
	if err != nil {
		return nil, err
	}
	for _, table := range tables {
		empty, err := isEmpty(ctx, db, table)
		if err != nil {
			return dropped, err
		}
		if !empty {
			continue // it was used without its index; its documents must be kept
		}
		// The entry first: if the process dies before the next step, the next start drops the table.
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

func queryNames(ctx context.Context, db *sql.DB, query string) (names []string, err error) {
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
		names = append(names, name)
	}
	return names, rows.Err()
}
