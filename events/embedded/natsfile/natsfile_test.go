package natsfile_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events/embedded"
	"tillstream/events/embedded/natsfile"
)

const (
	messages = 150
	bodySize = 60 << 10 // two files of at most 8 MiB
)

// body is what message n of the test's stream holds.
func body(n uint64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "message %d. ", n), bodySize/len(fmt.Sprintf("message %d. ", n)))
}

// server runs do against an embedded server on a directory.
func server(t *testing.T, dir string, do func(ctx context.Context, js jetstream.JetStream)) {
	t.Helper()
	s, err := embedded.StartNATS(embedded.NATSConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	conn, err := s.Conn()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	do(t.Context(), js)
}

// store makes the directory of a stopped server with one stream of messages.
func store(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	server(t, dir, func(ctx context.Context, js jetstream.JetStream) {
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, DenyDelete: true, DenyPurge: true}); err != nil {
			t.Fatal(err)
		}
		for n := range uint64(messages) {
			m := &nats.Msg{Subject: fmt.Sprintf("s.%d", n%7), Header: nats.Header{"Number": {strconv.FormatUint(n+1, 10)}}, Data: body(n + 1)}
			if _, err := js.PublishMsg(ctx, m); err != nil {
				t.Fatal(err)
			}
		}
	})
	return dir
}

// stored returns the last sequence of the stream and the sequences that it lacks, and expects each message to be as it was.
func stored(t *testing.T, dir string) (last uint64, missing []uint64) {
	t.Helper()
	server(t, dir, func(ctx context.Context, js jetstream.JetStream) {
		s, err := js.Stream(ctx, "S")
		if err != nil {
			t.Fatal(err)
		}
		last = s.CachedInfo().State.LastSeq
		for n := uint64(1); n <= messages; n++ {
			m, err := s.GetMsg(ctx, n)
			switch {
			case err != nil:
				missing = append(missing, n)
			case !bytes.Equal(m.Data, body(n)) || m.Header.Get("Number") != strconv.FormatUint(n, 10) || m.Subject != fmt.Sprintf("s.%d", (n-1)%7):
				t.Errorf("message %d differs from the one that was stored", n)
			}
		}
	})
	return last, missing
}

// flip changes one bit of a file.
func flip(t *testing.T, file string, offset int64) {
	t.Helper()
	buf, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	buf[offset] ^= 1 << rand.IntN(8)
	if err := os.WriteFile(file, buf, 0o600); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, dir string) []natsfile.Damage {
	t.Helper()
	damage, err := natsfile.Check(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return damage
}

// After a byte was flipped anywhere in the messages, with or without the server's index, one message is lost and no other.
func TestOneFlippedByteLosesOneMessage(t *testing.T) {
	t.Parallel()
	whole := store(t)
	if damage := check(t, whole); len(damage) > 0 {
		t.Fatalf("undamaged store: got %v, want no damage", damage)
	}
	files, err := filepath.Glob(filepath.Join(whole, "jetstream", "*", "streams", "S", "msgs", "*.blk"))
	if err != nil || len(files) < 2 {
		t.Fatalf("got files %v (%v), want at least two", files, err)
	}
	for round := range 24 {
		name := files[round%len(files)]
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		offset := rand.Int64N(info.Size())
		if round < 16 { // the fields at the start of a record are a small part of it: try each
			offset = int64(round * 2)
		}
		t.Run(fmt.Sprintf("%s:%d", filepath.Base(name), offset), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			inside, err := filepath.Rel(whole, name)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, inside)
			flip(t, file, offset)
			if round%2 == 0 {
				if err := os.Remove(filepath.Join(filepath.Dir(file), "index.db")); err != nil {
					t.Fatal(err)
				}
			}

			damage := check(t, dir)
			if len(damage) != 1 || damage[0].File != file || offset < damage[0].Offset || offset >= damage[0].Offset+damage[0].Length {
				t.Fatalf("got %v, want one damage around byte %d of %s", damage, offset, file)
			}
			lost := damage[0].After + 1
			if err := damage[0].Isolate(); err != nil {
				t.Fatal(err)
			}
			if damage := check(t, dir); len(damage) > 0 && !damage[0].End() {
				t.Errorf("after Isolate: got %v, want no damage", damage)
			}
			if round%3 > 0 { // a server takes longer than the rest of the test
				return
			}
			last, missing := stored(t, dir)
			want, wantLast := []uint64{lost}, uint64(messages)
			if lost == messages {
				wantLast--
			}
			if !slices.Equal(missing, want) || last != wantLast {
				t.Errorf("got last sequence %d without %v, want %d without %v", last, missing, wantLast, want)
			}
		})
	}
}

// Damage that reaches over several messages loses those and no other.
func TestAnOverwrittenPageLosesItsMessages(t *testing.T) {
	t.Parallel()
	dir := store(t)
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "S", "msgs", "1.blk"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	file, err := os.OpenFile(files[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt(make([]byte, 3*bodySize), 10*bodySize); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	damage := check(t, dir)
	if len(damage) != 1 || damage[0].Before-damage[0].After < 4 {
		t.Fatalf("got %v, want one damage of at least three messages", damage)
	}
	if err := damage[0].Isolate(); err != nil {
		t.Fatal(err)
	}
	var want []uint64
	for n := damage[0].After + 1; n < damage[0].Before; n++ {
		want = append(want, n)
	}
	if last, missing := stored(t, dir); last != messages || !slices.Equal(missing, want) {
		t.Errorf("got last sequence %d without %v, want %d without %v", last, missing, messages, want)
	}
}
