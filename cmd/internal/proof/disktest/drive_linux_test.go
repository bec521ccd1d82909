package disktest_test

import (
	"os"
	"path/filepath"
	"testing"

	"tillstream/cmd/internal/proof/disktest"
)

// A power cut must take what was not synced, or tests that stand on this show nothing; and leave what was.
func TestAPowerCutTakesWhatWasNotSynced(t *testing.T) {
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
	sync(t, filepath.Join(d.Dir, "synced"), synced)
	d.Cut(t, func() bool { return false })
	d.Restore(t)
	if got, err := os.ReadFile(filepath.Join(d.Dir, "synced")); err != nil || string(got) != string(synced) {
		t.Errorf("what was synced reads %q, %v", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(d.Dir, "written")); err == nil && len(got) == len(written) {
		t.Error("what was not synced is there as if nothing had happened")
	}
}

func sync(t *testing.T, path string, data []byte) {
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
