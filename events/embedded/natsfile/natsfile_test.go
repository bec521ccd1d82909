package natsfile_test

import (
	"bytes"
	"context"
	"errors"
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

var config = jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, DenyDelete: true, DenyPurge: true, AllowAtomicPublish: true}

// body is what message n of the test's stream holds.
func body(n uint64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "message %d. ", n), bodySize/len(fmt.Sprintf("message %d. ", n)))
}

// server runs do against an embedded server on a directory.
func server(t testing.TB, dir string, do func(ctx context.Context, js jetstream.JetStream)) {
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
		if _, err := js.CreateStream(ctx, config); err != nil {
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
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			s, err = js.CreateStream(ctx, config)
		}
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
	for round := range 32 {
		name := files[round%len(files)]
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		offset := rand.Int64N(info.Size())
		if round < 16 { // the fields at the start of a record are a small part of it: try each
			offset = int64(round * 2)
		}
		if round >= 24 { // the last message
			name = files[len(files)-1]
			if info, err = os.Stat(name); err != nil {
				t.Fatal(err)
			}
			offset = info.Size() - 1 - int64((round-24)*(bodySize/8))
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
			if damage[0].Before != lost+1 || !damage[0].Loss() {
				t.Errorf("got %+v, want one lost sequence", damage[0])
			}
			if err := damage[0].Isolate(); err != nil {
				t.Fatal(err)
			}
			if damage := check(t, dir); len(damage) > 0 {
				t.Errorf("after Isolate: got %v, want no damage", damage)
			}
			if round%3 > 0 { // a server takes longer than the rest of the test
				return
			}
			last, missing := stored(t, dir)
			if want := []uint64{lost}; !slices.Equal(missing, want) || last != messages {
				t.Errorf("got last sequence %d without %v, want %d without %v", last, missing, messages, want)
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

// A record that was not written completely is no damage, unless the index knows of its sequence: then it was acknowledged.
func TestIncompleteRecordIsNoDamage(t *testing.T) {
	t.Parallel()
	for name, indexed := range map[string]bool{"AfterKill": false, "AfterStop": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := store(t)
			files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "S", "msgs", "2.blk"))
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			info, err := os.Stat(files[0])
			if err == nil {
				err = os.Truncate(files[0], info.Size()-1000)
			}
			if err == nil && !indexed {
				err = os.Remove(filepath.Join(filepath.Dir(files[0]), "index.db"))
			}
			if err != nil {
				t.Fatal(err)
			}
			damage := check(t, dir)
			if len(damage) != 1 || damage[0].Incomplete == indexed || damage[0].Loss() != indexed || damage[0].After != messages-1 {
				t.Fatalf("got %+v, want incomplete %t", damage, !indexed)
			}
			if err := damage[0].Isolate(); err != nil {
				t.Fatal(err)
			}
			want := uint64(messages - 1)
			if indexed {
				want = messages
			}
			if last, missing := stored(t, dir); last != want || !slices.Equal(missing, []uint64{messages}) {
				t.Errorf("got last sequence %d without %v, want %d without %d", last, missing, want, messages)
			}
		})
	}
}

// Row 65 of the fault matrix: damaged settings or a damaged index are found. The stream that is created again has every message, and the server computes the
// index again.
func TestOtherFilesAreChecked(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]natsfile.Part{"meta.inf": natsfile.Settings, "meta.sum": natsfile.Settings, "msgs/index.db": natsfile.Index} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			dir := store(t)
			files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "S", name))
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			flip(t, files[0], 10)
			damage := check(t, dir)
			if len(damage) != 1 || damage[0].Part != part || damage[0].Loss() != (part == natsfile.Settings) {
				t.Fatalf("got %+v, want damage of part %d", damage, part)
			}
			if err := damage[0].Isolate(); err != nil {
				t.Fatal(err)
			}
			if last, missing := stored(t, dir); last != messages || len(missing) > 0 {
				t.Errorf("got last sequence %d without %v, want %d", last, missing, messages)
			}
		})
	}
}
