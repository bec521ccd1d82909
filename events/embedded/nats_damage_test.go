package embedded

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// storeOf makes the directory of a stopped server with messages "first", "second" and "third", and returns the file that has them.
func storeOf(t *testing.T) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	n := startNATS(t, NATSConfig{Dir: dir})
	openStream(t, n)
	js := jetstreamOf(t, n)
	for _, body := range []string{"first", "second", "third"} {
		if _, err := js.Publish(t.Context(), "orders.1", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	n.Stop()
	return dir, filepath.Join(dir, "jetstream", "$G", "streams", "ORDERS", "msgs", "1.blk")
}

// Row 64 of the fault matrix: a damaged message is named before the server starts, and the messages around it are kept. The next
// start finds no further damage.
func TestDamagedMessageIsNamedAndTheOthersAreKept(t *testing.T) {
	t.Parallel()
	dir, file := storeOf(t)
	buf, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.Replace(buf, []byte("second"), []byte("sEcond"), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	n := startNATS(t, NATSConfig{Dir: dir, Logger: slog.New(slog.NewTextHandler(&lines, nil))})
	if got := n.Damage(); len(got) != 1 || got[0].After != 1 || got[0].Before != 3 {
		t.Errorf("damage: got %+v, want message 2", got)
	}
	if got := messagesIn(t, openStream(t, n)); got != 2 {
		t.Errorf("messages: got %d, want the 2 undamaged ones", got)
	}
	n.Stop()
	for _, want := range []string{"sequence 2 is lost", file, "offset="} {
		if !strings.Contains(lines.String(), want) {
			t.Errorf("log: got %s, want %q in it", lines.String(), want)
		}
	}
	if again := startNATS(t, NATSConfig{Dir: dir}); len(again.Damage()) > 0 {
		t.Errorf("damage at the next start: got %v, want none", again.Damage())
	}
}

// Row 65 of the fault matrix: a file that cannot be read ends the start with an error that names the file and the remedy.
func TestUnreadableStoreIsNamed(t *testing.T) {
	t.Parallel()
	dir, file := storeOf(t)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil { // reading it fails for every user
		t.Fatal(err)
	}
	_, err := StartNATS(NATSConfig{Dir: dir})
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "ops repair") {
		t.Errorf("StartNATS: got %v, want ErrDamaged with file and remedy", err)
	}
}
