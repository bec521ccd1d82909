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

// removeUnborn removes the files of databases that have no table yet. FerretDB makes the file first and the table of its
// collections then; when the process or the power ends in between, or before that table is synced, it refuses to start on
// what is left. Nothing was ever in such a database.
func removeUnborn(dir string, log *slog.Logger) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.sqlite"))
	if err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	for _, file := range files {
		tables, err := countTables(file)
		if err != nil {
			return fmt.Errorf("look into %s: %w", filepath.Base(file), err)
		}
		if tables > 0 {
			continue
		}
		log.Warn("removed a database that was never finished", "file", file)
		for _, part := range []string{file, file + "-wal", file + "-shm"} {
			if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove an unfinished database: %w", err)
			}
		}
	}
	return nil
}

func countTables(file string) (tables int, err error) {
	dsn, err := existingURL(file)
	if err != nil {
		return 0, err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.QueryRowContext(context.Background(), "SELECT count(*) FROM sqlite_schema WHERE type = 'table'").Scan(&tables)
	return tables, err
}
