package natsfile_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// recordSize returns the length of the last record of the store, which all records of the second file have.
func recordSize(t *testing.T, dir string) int64 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "S", "msgs", "2.blk"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	buf, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return int64(binary.LittleEndian.Uint32(buf) &^ (1 << 31))
}

// Row 64 of the fault matrix: a file that was cut, at any byte, or deleted loses the messages behind the cut, and the next message
// gets the next sequence.
func TestACutFileLosesItsEnd(t *testing.T) {
	t.Parallel()
	whole := store(t)
	size := recordSize(t, whole)
	for name, c := range map[string]struct{ kept, more int64 }{"Record": {8, 0}, "FewBytes": {8, 16}, "HalfRecord": {8, size / 2}, "File": {-1, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "S", "msgs", "2.blk"))
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			if c.kept < 0 {
				err = os.Remove(files[0])
			} else {
				err = os.Truncate(files[0], c.kept*size+c.more)
			}
			if err != nil {
				t.Fatal(err)
			}
			damage := check(t, dir)
			if len(damage) != 1 || !damage[0].Loss() || damage[0].Before != messages+1 {
				t.Fatalf("got %+v, want the loss of the last messages", damage)
			}
			if err := damage[0].Isolate(); err != nil {
				t.Fatal(err)
			}
			var want []uint64
			for n := damage[0].After + 1; n <= messages; n++ {
				want = append(want, n)
			}
			if last, missing := stored(t, dir); last != messages || !slices.Equal(missing, want) {
				t.Errorf("got last sequence %d without %v, want %d without %v", last, missing, messages, want)
			}
			if damage := check(t, dir); len(damage) > 0 {
				t.Errorf("after a start: got %v, want no damage", damage)
			}
		})
	}
}

// The end of a stream whose last messages have expired or were deleted is not missing.
func TestExpiredAndDeletedEndIsNoDamage(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(ctx context.Context, s jetstream.Stream) error{
		"Expired": func(context.Context, jetstream.Stream) error { return nil },
		"Deleted": func(ctx context.Context, s jetstream.Stream) error { return s.DeleteMsg(ctx, 20) },
		"Erased":  func(ctx context.Context, s jetstream.Stream) error { return s.SecureDeleteMsg(ctx, 20) },
		"Purged":  func(ctx context.Context, s jetstream.Stream) error { return s.Purge(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			server(t, dir, func(ctx context.Context, js jetstream.JetStream) {
				s, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowMsgTTL: true})
				if err != nil {
					t.Fatal(err)
				}
				ttl := time.Hour
				if name == "Expired" {
					ttl = time.Second
				}
				for n := range 20 {
					if _, err := js.Publish(ctx, fmt.Sprintf("s.%d", n), nil, jetstream.WithMsgTTL(ttl)); err != nil {
						t.Fatal(err)
					}
				}
				if err := remove(ctx, s); err != nil {
					t.Fatal(err)
				}
				for left := uint64(20); left > 19; {
					info, err := s.Info(ctx)
					if err != nil {
						t.Fatal(err)
					}
					left = info.State.Msgs
				}
			})
			if damage := check(t, dir); len(damage) > 0 {
				t.Errorf("got %v, want no damage", damage)
			}
			server(t, dir, func(context.Context, jetstream.JetStream) {})
			if damage := check(t, dir); len(damage) > 0 {
				t.Errorf("after another start: got %v, want no damage", damage)
			}
		})
	}
}
