package natsfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Isolate replaces damaged bytes of messages by a deleted message, so that the server keeps the messages after them and assigns
// no sequence twice. It first copies the damaged bytes to File with the suffix ".damaged-OFFSET" and removes the stream's index,
// which may contradict the file. An incomplete record is left to the server, which removes it. Damaged settings are copied and
// removed: the server ignores the stream until a program creates it again. Isolate may be repeated after a crash.
func (d Damage) Isolate() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("isolate the damage in %s: %w", d.File, err)
		}
	}()
	if d.Part == Index {
		return d.removeIndex()
	}
	if d.Incomplete || d.Part == Messages && d.Length == 0 {
		return nil
	}
	if err := d.keep(); err != nil {
		return err
	}
	if d.Part == Settings { // the server writes settings only where there are none
		return errors.Join(remove(d.File), remove(filepath.Join(filepath.Dir(d.File), settingsSum)))
	}
	if err := d.removeIndex(); err != nil {
		return err
	}
	info, err := os.Stat(d.File)
	if err != nil {
		return err
	}
	size := d.Length
	if d.Offset+size == info.Size() {
		size = max(size, minSize) // the file can grow
	}
	if size < minSize || size > maxSize {
		return fmt.Errorf("%d bytes cannot hold a record", size)
	}
	sequence := d.Before - 1
	if sequence == d.After { // a record without a message, which the server skips
		sequence = 0
	}
	r, err := newReader(d.Stream, d.File)
	if err != nil {
		return err
	}
	return writeAt(d.File, r.erased(int(size), sequence), d.Offset)
}

func (d Damage) removeIndex() error { return remove(filepath.Join(filepath.Dir(d.File), indexName)) }

// remove removes a file that may be missing.
func remove(name string) error {
	if err := os.Remove(name); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
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
