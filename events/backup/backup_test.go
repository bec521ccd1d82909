package backup_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tillstream/events/backup"
)

// record is a line of a test's backup.
type record struct {
	N int `json:"n"`
}

// written writes a backup of so many events and returns its directory.
func written(t *testing.T, lines int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "today")
	w := begun(t, dir, lines)
	if _, err := w.Finish(uint64(lines), time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// begun writes all files of a backup but its manifest.
func begun(t *testing.T, dir string, lines int) *backup.Writer {
	t.Helper()
	w, err := backup.Create(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{backup.Log, backup.DeadLetters, backup.Checkpoints, backup.Aside} {
		err := w.Lines(name, func(add func(any) error) error {
			for n := range lines {
				if err := add(record{n}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Put(backup.Secrets, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	return w
}

func open(t *testing.T, dir string) (*backup.Backup, error) {
	t.Helper()
	return backup.Open(t.Context(), dir, nil)
}

func TestWhatWasWrittenIsRead(t *testing.T) {
	t.Parallel()
	const lines = 10_000
	dir := written(t, lines)
	b, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	records, err := b.Records(backup.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	read := 0
	for {
		var r record
		found, err := records.Next(&r)
		if err != nil || found && r.N != read {
			t.Fatalf("record %d is %+v, %v", read, r, err)
		}
		if !found {
			break
		}
		read++
	}
	secrets, err := b.Secrets()
	if read != lines || err != nil || string(secrets) != "secret" || b.Cut != lines {
		t.Errorf("read %d of %d lines, cut %d, secrets %q, %v", read, lines, b.Cut, secrets, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 6 {
		t.Errorf("the directory holds %v, %v; want five files and the manifest", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s may be read by others: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

// One changed byte anywhere, a file that is shorter, and one that is missing are noticed, and the file is named.
func TestADamagedBackupIsRefused(t *testing.T) {
	t.Parallel()
	damages := map[string]func(path string) error{
		"OneBit": func(path string) error {
			data, err := os.ReadFile(path)
			if err == nil {
				data[len(data)/2] ^= 1
				err = os.WriteFile(path, data, 0o600)
			}
			return err
		},
		"Shorter": func(path string) error { return os.Truncate(path, 3) },
		"Missing": os.Remove,
	}
	for what, damage := range damages {
		for _, name := range []string{backup.Log, backup.DeadLetters, backup.Checkpoints, backup.Aside, backup.Secrets} {
			t.Run(what+"/"+name, func(t *testing.T) {
				t.Parallel()
				dir := written(t, 100)
				if err := damage(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				if _, err := open(t, dir); !errors.Is(err, backup.ErrDamaged) || !strings.Contains(err.Error(), name) {
					t.Errorf("opened: %v", err)
				}
			})
		}
	}
}

// rewrite changes the manifest of a backup.
func rewrite(t *testing.T, dir string, change func(m *backup.Manifest)) {
	t.Helper()
	path := filepath.Join(dir, "manifest.json")
	data, err := os.ReadFile(path)
	var m backup.Manifest
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	change(&m)
	if data, err2 := json.Marshal(m); err != nil || err2 != nil || os.WriteFile(path, data, 0o600) != nil {
		t.Fatal(err, err2)
	}
}

// What this program cannot restore it refuses, with the reason, before it looks at anything else.
func TestAManifestThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(m *backup.Manifest)
		want   error
		says   string
	}{
		"NewerFormat":   {func(m *backup.Manifest) { m.Format++ }, backup.ErrNewer, "format 2"},
		"NewerTopology": {func(m *backup.Manifest) { m.Topology = 1000 }, backup.ErrNewer, "topology 1000"},
		"NoFormat":      {func(m *backup.Manifest) { m.Format = 0 }, backup.ErrDamaged, "format"},
		"AnotherCut":    {func(m *backup.Manifest) { m.Cut++ }, backup.ErrDamaged, "ends at 11"},
		"AFileLess":     {func(m *backup.Manifest) { delete(m.Files, backup.Aside) }, backup.ErrDamaged, backup.Aside},
		"AForeignFile":  {func(m *backup.Manifest) { m.Files["../x"] = backup.File{} }, backup.ErrDamaged, "../x"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := written(t, 10)
			rewrite(t, dir, test.change)
			if _, err := open(t, dir); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %v that says %q", err, test.want, test.says)
			}
		})
	}
}

// A backup that was cut off is none, and is not written over: another ops backup may be at work on it.
func TestAnUnfinishedBackup(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "today")
	w := begun(t, dir, 10)
	if _, err := open(t, dir); !errors.Is(err, backup.ErrUnfinished) {
		t.Errorf("opened: %v", err)
	}
	if _, err := backup.Create(dir, time.Now()); !errors.Is(err, backup.ErrUnfinished) || !strings.Contains(err.Error(), "delete the directory") {
		t.Errorf("begun again: %v", err)
	}
	if err := w.Abandon(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
}

// What a directory holds is left as it is: a backup, which Abandon does not take back either, or anything else.
func TestADirectoryThatIsTaken(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "today")
	w := begun(t, dir, 10)
	if _, err := w.Finish(10, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := w.Abandon(); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "letter.txt"), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{dir, dir + "/", other} {
		before := listed(t, taken)
		if _, err := backup.Create(taken, time.Now()); !errors.Is(err, backup.ErrExists) || !strings.Contains(err.Error(), "name another directory") {
			t.Errorf("%s: %v", taken, err)
		}
		if after := listed(t, taken); !slices.Equal(before, after) {
			t.Errorf("%s held %v and holds %v", taken, before, after)
		}
	}
	if _, err := open(t, other); !errors.Is(err, backup.ErrNoBackup) {
		t.Errorf("opened: %v", err)
	}
	if _, err := open(t, dir); err != nil {
		t.Errorf("the backup: %v", err)
	}
}

func listed(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A writer that forgot a file, or lines of the log, notices before there is a manifest.
func TestABackupThatLacksSomethingIsNotFinished(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]uint64{"Lines": 11, "Files": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "today")
			var w *backup.Writer
			if cut > 0 {
				w = begun(t, dir, 10)
			} else {
				var err error
				if w, err = backup.Create(dir, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.Finish(cut, time.Now()); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("finished: %v", err)
			}
			if _, err := open(t, dir); !errors.Is(err, backup.ErrUnfinished) {
				t.Errorf("opened: %v", err)
			}
		})
	}
}
