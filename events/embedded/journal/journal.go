package journal

import (
	"errors"
	"fmt"
	"sync"
)

var (
	// ErrClosed is returned by Append after Close.
	ErrClosed = errors.New("journal is closed")

	// ErrDamaged is returned by Open when the file contains anything but its caller's records.
	ErrDamaged = errors.New("journal is damaged")

	// ErrDropped is returned by Read for a record that DropBefore has dropped.
	ErrDropped = errors.New("record was dropped")

	// ErrInUse is returned by Open when another journal, in this process or another one, has the file open.
	ErrInUse = errors.New("journal is in use")
)

// Config describes a journal.
type Config struct {
	// Path is the file. It is made with its directory if it does not exist. Default: records are kept in memory.
	Path string

	// End is the end mark of a record. Its last character is a line break. Required.
	End string

	// Apply receives every record of the file, oldest first, with its position. The record is valid only during the call. An
	// error ends Open. Required with Path.
	Apply func(at int64, record []byte) error

	// Unfinished receives the text after the last record before it is cut off. An error keeps the text and ends Open. Required
	// with Path.
	Unfinished func(tail []byte) error
}

// store keeps records in order. append is not called concurrently with another method.
type store interface {
	append(record []byte) (at int64, err error)
	read(at int64) ([]byte, error)
	dropBefore(at int64) error
	close() error
}

// Journal is an open journal. Its methods may be called concurrently.
type Journal struct {
	mu     sync.RWMutex
	store  store
	closed bool
}

// Open opens or creates a journal. When it returns ErrInUse or ErrDamaged, the file is unchanged.
func Open(config Config) (*Journal, error) {
	if config.Path == "" {
		return &Journal{store: &memory{}}, nil
	}
	f, err := openFile(config.Path, config.End)
	if err != nil {
		return nil, err
	}
	if err := f.replay(config); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return &Journal{store: f}, nil
}

// Append stores a record and returns its position. The record must end with the end mark and must not be changed afterwards.
// After an error the record is not stored.
func (j *Journal) Append(record []byte) (at int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return 0, ErrClosed
	}
	return j.store.append(record)
}

// Read returns the record at a position. The caller must not change it. Read returns ErrDropped for a dropped record.
func (j *Journal) Read(at int64) ([]byte, error) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.store.read(at)
}

// DropBefore drops the records before a position. After an error no record is dropped.
func (j *Journal) DropBefore(at int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed
	}
	return j.store.dropBefore(at)
}

// Close closes the file for writing and unlocks it. Records can still be read. A second Close does nothing.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	if err := j.store.close(); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}
