package disktest_test

import (
	"os"
	"path/filepath"
	"testing"

	"tillstream/cmd/internal/proof/disktest"
)

// A power cut must lose what was not synced, or the tests that use it prove nothing.
func TestPowerCutLosesOnlyUnsyncedFiles(t *testing.T) {
	if reason := disktest.Missing(); reason != "" {
		t.Skip(reason)
	}
	if !disktest.Inside(t) {
		return
	}
	d := disktest.NewDrive(t, 64<<20)
	written, synced := make([]byte, 100_000), []byte("synced")
	for i := range written {
		written[i] = 'w'
	}
	if err := os.WriteFile(filepath.Join(d.Dir, "written"), written, 0o600); err != nil {
		t.Fatal(err)
	}
	writeSynced(t, filepath.Join(d.Dir, "synced"), synced)
	d.Cut(t, func() bool { return false })
	d.Restore(t)
	if got, err := os.ReadFile(filepath.Join(d.Dir, "synced")); err != nil || string(got) != string(synced) {
		t.Errorf("synced file: got %q, %v; want %q", got, err, synced)
	}
	if got, err := os.ReadFile(filepath.Join(d.Dir, "written")); err == nil && len(got) == len(written) {
		t.Errorf("unsynced file: got all %d bytes, want it lost or incomplete", len(got))
	}
}

func writeSynced(t *testing.T, path string, data []byte) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
}
