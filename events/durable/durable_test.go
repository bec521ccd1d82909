package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tillstream/events/durable"
)

// A file is replaced whole and is its owner's alone; nothing else is left beside it.
func TestAFileIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.json")
	for _, text := range []string{"a long first text", "second"} {
		if err := durable.WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		data, err2 := os.ReadFile(path)
		if err := errors.Join(err, err2); err != nil || string(data) != text || info.Mode().Perm() != 0o600 {
			t.Errorf("got %q with %v, %v", data, info.Mode(), err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, %v", entries, err)
	}
}

// Where it cannot be written the old file stays.
func TestAFileThatCannotBeReplacedStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.json")
	if err := errors.Join(os.WriteFile(path, []byte("old"), 0o600), os.Mkdir(path+".new", 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("new")); err == nil {
		t.Error("it was written")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "old" {
		t.Errorf("got %q, %v", data, err)
	}
}
