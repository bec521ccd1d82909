package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"tillstream/events/durable"
)

// file is the store of a journal with a path. base is the number of bytes dropped since the file was opened, so that positions
// stay valid.
type file struct {
	path   string
	end    []byte
	lock   *os.File
	handle handle
	base   int64
	size   int64 // of the file
	broken error // set when nothing can be appended any more
}

// handle has the methods of an open file that a store uses.
type handle interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
}

func openFile(path, end string) (*file, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make directory of journal %s: %w", path, err)
	}
	// A separate file is locked because dropBefore replaces the journal's file.
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock journal %s: %w", path, err)
	}
	if err := durable.Lock(lock); err != nil {
		return nil, fmt.Errorf("journal %s is in use by another server: stop that server or use another directory: %w",
			path, errors.Join(ErrInUse, err, lock.Close()))
	}
	opened, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", errors.Join(err, lock.Close()))
	}
	f := &file{path: path, end: []byte(end), lock: lock, handle: opened}
	info, err := opened.Stat()
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", errors.Join(err, f.close()))
	}
	f.size = info.Size()
	return f, nil
}

// longestTail bounds the search for the end of a record. Records are far shorter.
const longestTail = 64 << 20

// replay passes every record to config.Apply and cuts off an unfinished record at the end.
func (f *file) replay(config Config) error {
	reader := bufio.NewReaderSize(io.NewSectionReader(f.handle, 0, f.size), 64<<10)
	var at int64
	var record []byte
	for {
		part, err := reader.ReadSlice('\n')
		record = append(record, part...)
		switch {
		case errors.Is(err, io.EOF):
			return f.cut(at, record, config)
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("read journal %s at byte %d: %w", f.path, at, err)
		case bytes.HasSuffix(record, f.end):
			if err := config.Apply(at, record); err != nil {
				return f.damaged(at, err)
			}
			at += int64(len(record))
			record = record[:0]
		case len(record) > longestTail:
			return f.damaged(at, fmt.Errorf("no record ends within %d bytes", longestTail))
		}
	}
}

func (f *file) damaged(at int64, cause error) error {
	return fmt.Errorf("%w: move %s away to start with an empty journal: record at byte %d: %w", ErrDamaged, f.path, at, cause)
}

// cut truncates the file after its last record.
func (f *file) cut(at int64, tail []byte, config Config) error {
	if len(tail) == 0 {
		return nil
	}
	if err := config.Unfinished(tail); err != nil {
		return f.damaged(at, err)
	}
	if err := f.handle.Truncate(at); err != nil {
		return fmt.Errorf("cut off an unfinished record of journal %s: %w", f.path, err)
	}
	f.size = at
	return nil
}

func (f *file) append(record []byte) (at int64, err error) {
	if f.broken != nil {
		return 0, f.broken
	}
	if _, err := f.handle.WriteAt(record, f.size); err != nil {
		// Without the truncation, the next record would be read as the rest of the incomplete one. If it fails, appending stops.
		if cut := f.handle.Truncate(f.size); cut != nil {
			f.broken = fmt.Errorf("truncate an incomplete record of journal %s: %w", f.path, cut)
		}
		return 0, f.appendError(err)
	}
	at = f.base + f.size
	f.size += int64(len(record))
	return at, nil
}

func (f *file) appendError(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("append to journal %s: free space on the disk: %w", f.path, err)
	}
	return fmt.Errorf("append to journal %s: %w", f.path, err)
}

// commonSize is larger than most records, so that one read is enough.
const commonSize = 8 << 10

func (f *file) read(at int64) ([]byte, error) {
	if at < f.base {
		return nil, ErrDropped
	}
	for size := commonSize; ; size *= 4 {
		buf := make([]byte, size)
		n, err := f.handle.ReadAt(buf, at-f.base)
		if i := bytes.Index(buf[:n], f.end); i >= 0 {
			return buf[:i+len(f.end)], nil
		}
		if err != nil {
			return nil, fmt.Errorf("read record at byte %d of journal %s: %w", at-f.base, f.path, err)
		}
	}
}

// dropBefore copies the remaining records to a new file and renames it to the old name once it is complete.
func (f *file) dropBefore(at int64) error {
	from := at - f.base
	path := f.path + ".new"
	successor, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("drop records of journal: %w", err)
	}
	_, err = io.Copy(successor, io.NewSectionReader(f.handle, from, f.size-from))
	if err == nil {
		err = os.Rename(path, f.path)
	}
	if err != nil {
		return fmt.Errorf("drop records of journal %s: %w", f.path, errors.Join(err, successor.Close()))
	}
	old := f.handle
	f.handle, f.base, f.size = successor, at, f.size-from
	return old.Close()
}

// close closes the file. Later reads open it again.
func (f *file) close() error {
	err := errors.Join(f.handle.Close(), f.lock.Close())
	f.handle = reopening(f.path)
	return err
}

// reopening is a closed file that is opened for each read.
type reopening string

// ReadAt implements io.ReaderAt.
func (path reopening) ReadAt(b []byte, at int64) (int, error) {
	f, err := os.Open(string(path))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.ReadAt(b, at)
}

// WriteAt returns ErrClosed.
func (path reopening) WriteAt([]byte, int64) (int, error) { return 0, ErrClosed }

// Truncate returns ErrClosed.
func (path reopening) Truncate(int64) error { return ErrClosed }

// Close implements io.Closer.
func (path reopening) Close() error { return nil }
