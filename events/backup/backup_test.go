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

// record is a record of the test backups.
type record struct {
	N int `json:"n"`
}

// writeBackup writes a backup with that many records per file and returns its directory.
func writeBackup(t *testing.T, lines int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "today")
	w := beginBackup(t, dir, lines)
	if _, err := w.Finish(uint64(lines), time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// beginBackup writes all files of a backup except the manifest.
func beginBackup(t *testing.T, dir string, lines int) *backup.Writer {
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

func TestBackupIsReadAsWritten(t *testing.T) {
	t.Parallel()
	const lines = 10_000
	dir := writeBackup(t, lines)
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
			t.Fatalf("record %d: got %+v, %v", read, r, err)
		}
		if !found {
			break
		}
		read++
	}
	secrets, err := b.Secrets()
	if read != lines || err != nil || string(secrets) != "secret" || b.Cut != lines {
		t.Errorf("got %d records, cut %d, secrets %q, %v; want %d, %[5]d, \"secret\"", read, b.Cut, secrets, err, lines)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 6 {
		t.Errorf("directory: got %v, %v; want five files and the manifest", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("mode of %s: got %v, %v; want no access for others", e.Name(), info.Mode(), err)
		}
	}
}

// Open detects one changed bit, a shorter file and a missing file, and names the file.
func TestOpenRefusesDamagedFile(t *testing.T) {
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
	for kind, damage := range damages {
		for _, name := range []string{backup.Log, backup.DeadLetters, backup.Checkpoints, backup.Aside, backup.Secrets} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				dir := writeBackup(t, 100)
				if err := damage(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				if _, err := open(t, dir); !errors.Is(err, backup.ErrDamaged) || !strings.Contains(err.Error(), name) {
					t.Errorf("open: got %v, want %v that names %s", err, backup.ErrDamaged, name)
				}
			})
		}
	}
}

// editManifest changes the manifest of a backup.
func editManifest(t *testing.T, dir string, change func(m *backup.Manifest)) {
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

// Open refuses a backup that this program cannot restore, with the reason.
func TestOpenRefusesUnusableManifest(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change  func(m *backup.Manifest)
		want    error
		message string
	}{
		"NewerFormat":   {func(m *backup.Manifest) { m.Format++ }, backup.ErrNewer, "format 2"},
		"NewerTopology": {func(m *backup.Manifest) { m.Topology = 1000 }, backup.ErrNewer, "topology 1000"},
		"NoFormat":      {func(m *backup.Manifest) { m.Format = 0 }, backup.ErrDamaged, "format"},
		"OtherCut":      {func(m *backup.Manifest) { m.Cut++ }, backup.ErrDamaged, "ends at 11"},
		"MissingFile":   {func(m *backup.Manifest) { delete(m.Files, backup.Aside) }, backup.ErrDamaged, backup.Aside},
		"ForeignFile":   {func(m *backup.Manifest) { m.Files["../x"] = backup.File{} }, backup.ErrDamaged, "../x"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := writeBackup(t, 10)
			editManifest(t, dir, test.change)
			if _, err := open(t, dir); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.message) {
				t.Errorf("open: got %v, want %v with %q", err, test.want, test.message)
			}
		})
	}
}

// An unfinished backup cannot be opened, and is not overwritten: another process may still be writing it.
func TestUnfinishedBackupIsNeitherOpenedNorOverwritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "today")
	w := beginBackup(t, dir, 10)
	if _, err := open(t, dir); !errors.Is(err, backup.ErrUnfinished) {
		t.Errorf("open: got %v, want %v", err, backup.ErrUnfinished)
	}
	if _, err := backup.Create(dir, time.Now()); !errors.Is(err, backup.ErrUnfinished) || !strings.Contains(err.Error(), "delete the directory") {
		t.Errorf("create: got %v, want %v", err, backup.ErrUnfinished)
	}
	if err := w.Abandon(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory after abandon: got %v, want %v", err, os.ErrNotExist)
	}
}

// Create leaves a directory with other files unchanged, and Abandon leaves a finished backup unchanged.
func TestCreateRefusesDirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "today")
	w := beginBackup(t, dir, 10)
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
	for _, used := range []string{dir, dir + "/", other} {
		before := list(t, used)
		if _, err := backup.Create(used, time.Now()); !errors.Is(err, backup.ErrExists) || !strings.Contains(err.Error(), "name another directory") {
			t.Errorf("create %s: got %v, want %v", used, err, backup.ErrExists)
		}
		if after := list(t, used); !slices.Equal(before, after) {
			t.Errorf("%s: got %v, want %v as before", used, after, before)
		}
	}
	if _, err := open(t, other); !errors.Is(err, backup.ErrNoBackup) {
		t.Errorf("open a directory without a backup: got %v, want %v", err, backup.ErrNoBackup)
	}
	if _, err := open(t, dir); err != nil {
		t.Errorf("open the backup: %v", err)
	}
}

// list returns the names of the files in a directory.
func list(t *testing.T, dir string) (names []string) {
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

// Finish refuses a backup without one of the files or with fewer records than the cut says.
func TestFinishRefusesIncompleteBackup(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]uint64{"Lines": 11, "Files": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "today")
			var w *backup.Writer
			if cut > 0 {
				w = beginBackup(t, dir, 10)
			} else {
				var err error
				if w, err = backup.Create(dir, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.Finish(cut, time.Now()); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("finish: got %v, want %v", err, backup.ErrDamaged)
			}
			if _, err := open(t, dir); !errors.Is(err, backup.ErrUnfinished) {
				t.Errorf("open: got %v, want %v", err, backup.ErrUnfinished)
			}
		})
	}
}
