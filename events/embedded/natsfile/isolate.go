package natsfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Isolate replaces the damaged bytes by a deleted message, so that the server keeps the messages after them. It first copies the
// damaged bytes to File with the suffix ".damaged-OFFSET" and removes the stream's index, which may contradict the file. The
// end of a stream is left to the server, which truncates it. Isolate may be repeated after a crash.
func (d Damage) Isolate() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("isolate the damage in %s: %w", d.File, err)
		}
	}()
	if err := d.keep(); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(filepath.Dir(d.File), "index.db")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if d.End() {
		return nil
	}
	if d.Length < minSize || d.Length > maxSize {
		return fmt.Errorf("%d bytes cannot hold a record", d.Length)
	}
	r, err := newReader(d.Stream, d.File)
	if err != nil {
		return err
	}
	return writeAt(d.File, r.erased(int(d.Length), d.After+1), d.Offset)
}

// keep copies the damaged bytes, unless an earlier call has.
func (d Damage) keep() error {
	kept := fmt.Sprintf("%s.damaged-%d", d.File, d.Offset)
	if info, err := os.Stat(kept); err == nil && info.Size() == d.Length {
		return nil
	}
	file, err := os.Open(d.File)
	if err != nil {
		return err
	}
	buf := make([]byte, d.Length)
	_, err = file.ReadAt(buf, d.Offset)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		return err
	}
	return writeAt(kept, buf, 0)
}

// writeAt returns when the bytes are on disk.
func writeAt(name string, buf []byte, offset int64) error {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(buf, offset)
	return errors.Join(err, file.Sync(), file.Close())
}
