package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tillstream/events/durable"
)

// A file is replaced as a whole, only its owner can read it, and no temporary file remains.
func TestWriteFileReplacesFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.json")
	for _, text := range []string{"a long first text", "second"} {
		if err := durable.WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		data, err2 := os.ReadFile(path)
		if err := errors.Join(err, err2); err != nil || string(data) != text || info.Mode().Perm() != 0o600 {
			t.Errorf("file: got %q with %v, %v; want %q with -rw-------", data, info.Mode(), err, text)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("directory: got %v, %v; want one file", entries, err)
	}
}

// When the new content cannot be written, the old file stays.
func TestFailedWriteKeepsOldFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.json")
	if err := errors.Join(os.WriteFile(path, []byte("old"), 0o600), os.Mkdir(path+".new", 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("new")); err == nil {
		t.Error("write: got no error")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "old" {
		t.Errorf("file: got %q, %v; want \"old\"", data, err)
	}
}

func TestLockIsHeldUntilTheFileIsClosed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() }) // a second time for the first file
		return f
	}
	first, second := open(), open()
	if err := durable.Lock(first); err != nil {
		t.Fatalf("lock a free file: got %v, want no error", err)
	}
	if err := durable.Lock(second); err == nil {
		t.Error("lock a locked file: got no error")
	}
	time.AfterFunc(100*time.Millisecond, func() { _ = first.Close() }) // Lock waits a little
	if err := durable.Lock(second); err != nil {
		t.Errorf("lock while the other file is closed: got %v, want no error", err)
	}
}
