package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tillstream/events"
)

// flipped is a bit that is flipped in a file of a stopped broker.
type flipped struct {
	file   string // below the directory of the stream
	offset int64
	bit    int
	killed bool // the broker's index is missing, as after a kill
}

func (f flipped) String() string {
	how := "stopped"
	if f.killed {
		how = "killed"
	}
	return fmt.Sprintf("%s:%d:%d %s", f.file, f.offset, f.bit, how)
}

// Rows 64 and 65 of the fault matrix: one bit is flipped anywhere in the files of the stopped log, again and again on a copy of
// the same shop. Each time the shop starts, every order can be read, and every event is intact or readiness names it. After a
// repair nothing is lost.
//
// FLIPS sets the number of bits, FLIPS_SEED the seed: FLIPS=200 go test ./cmd/shop -run TestFlippedBits -timeout 60m
func TestFlippedBitsAreNamedAndRepaired(t *testing.T) {
	t.Parallel()
	flips, seed := setting(t, "FLIPS", 10), setting(t, "FLIPS_SEED", rand.Uint64()>>1)
	t.Logf("FLIPS_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := soldShop(t)
	for i := range flips {
		f := s.choose(t, random, i)
		t.Run(fmt.Sprintf("%d %s", i, f), func(t *testing.T) {
			t.Parallel()
			s.survives(t, f)
		})
	}
}

// sold is a stopped shop with orders.
type sold struct {
	config   Config
	orders   []order
	messages map[uint64]string
}

// soldShop stops a shop whose archive has all events.
func soldShop(t *testing.T) sold {
	t.Helper()
	s := sold{config: testConfig(t, nil)}
	ts := openShop(t, s.config)
	ts.list(t, "MUG", 1250, 100)
	for i := range 4 {
		s.orders = append(s.orders, ts.buy(t, cart(fmt.Sprintf("buyer-%d", i), line{"MUG", 1})))
	}
	unpaid := ts.place(t, cart("unpaid", line{"MUG", 2}))
	ts.checkout(t, unpaid)
	s.orders = append(s.orders, unpaid)
	for _, o := range s.orders[:4] {
		ts.mailed(t, o.Email, 1)
	}
	for i := range s.orders {
		s.orders[i] = ts.read(t, s.orders[i])
	}
	ts.verify(t)
	s.messages = ts.messages(t, 0)
	ts.close(t)
	return s
}

func (s sold) stream(config Config) string {
	return filepath.Join(config.dir("nats"), "jetstream", "$G", "streams", events.StreamShop)
}

// choose chooses a bit of any file, every second time one of the messages.
func (s sold) choose(t *testing.T, random *rand.Rand, i uint64) flipped {
	t.Helper()
	sizes := map[string]int64{}
	err := fs.WalkDir(os.DirFS(s.stream(s.config)), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() > 0 && (i%2 == 0 || strings.HasSuffix(path, ".blk")) {
			sizes[path] = info.Size()
		}
		return err
	})
	if err != nil || len(sizes) == 0 {
		t.Fatalf("files of the log: %v, %v", sizes, err)
	}
	files := slices.Sorted(maps.Keys(sizes))
	file := files[random.IntN(len(files))]
	f := flipped{file: file, offset: random.Int64N(sizes[file]), bit: random.IntN(8), killed: random.IntN(2) == 0}
	if last := int64(600); i%5 == 4 { // the last messages
		f.file = files[slices.IndexFunc(files, func(name string) bool { return strings.HasSuffix(name, ".blk") })]
		f.offset = sizes[f.file] - 1 - random.Int64N(last)
	}
	f.killed = f.killed && filepath.Base(f.file) != "index.db"
	return f
}

func (s sold) survives(t *testing.T, f flipped) {
	config := s.config
	config.Data = t.TempDir()
	copyStore(t, s.config.Data, config.Data)
	f.flip(t, s.stream(config))

	ts := openShop(t, config)
	missing := s.missing(t, ts)
	var now struct{ Status, Reason string }
	waitFor(t, "the broker answers the readiness check in time", func() bool {
		if err := json.Unmarshal(ts.get(t, "/readyz", "").Body, &now); err != nil {
			t.Fatal(err)
		}
		return !strings.Contains(now.Reason, "broker_unavailable")
	})
	t.Logf("missing %v, readiness: %s %s", missing, now.Status, now.Reason)
	for _, sequence := range missing {
		if now.Status != "degraded" || !strings.Contains(now.Reason, fmt.Sprintf("sequence %d is missing", sequence)) {
			t.Errorf("readiness: got %+v, want degraded with sequence %d", now, sequence)
		}
	}
	if strings.HasPrefix(f.file, "meta.") && now.Status != "degraded" {
		t.Errorf("readiness: got %+v, want degraded, for the stream lost its settings", now)
	}
	for _, o := range s.orders {
		if got := ts.read(t, o); got.Status != o.Status || got.Total != o.Total {
			t.Errorf("order: got %+v, want %+v", got, o)
		}
	}
	ts.close(t)
	if len(missing) > 0 {
		repairDamage(t, config)
	}
	ts = openShop(t, config)
	ts.readinessBecomes(t, "ready")
	if still := s.missing(t, ts); len(still) > 0 {
		t.Errorf("after the repair: %v are missing", still)
	}
	unpaid := s.orders[len(s.orders)-1]
	ts.settle(t, unpaid)
	ts.mailed(t, unpaid.Email, 1)
	ts.verify(t)
}

// flip flips the bit, in the directory of the stream.
func (f flipped) flip(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, f.file)
	buf, err := os.ReadFile(file)
	if err == nil {
		buf[f.offset] ^= 1 << f.bit
		err = os.WriteFile(file, buf, 0o600)
	}
	if err == nil && f.killed {
		err = os.Remove(filepath.Join(dir, "msgs", "index.db"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// missing returns the sequences that the log has lost. Every other event must be as it was.
func (s sold) missing(t *testing.T, ts *testShop) (lost []uint64) {
	t.Helper()
	for sequence, want := range s.messages {
		m, err := ts.log.Get(t.Context(), sequence)
		if err != nil {
			lost = append(lost, sequence)
			continue
		}
		got := strings.Join([]string{m.Subject, m.Header.Get(events.HeaderID), m.Header.Get(events.HeaderRevision), string(m.Data)}, " ")
		if got != want {
			t.Errorf("event %d: got %.200q, want %.200q", sequence, got, want)
		}
	}
	slices.Sort(lost)
	return lost
}

// repairDamage runs ops repair on a closed shop. Everything that the log has lost is in the archive.
func repairDamage(t *testing.T, config Config) {
	t.Helper()
	repair, done := closedRepair(t, config)
	defer done()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("the repair hangs"))
	defer cancel()
	report, err := repair.Run(ctx)
	if err != nil || report.Unrepairable() || report.Superseded.Count > 0 {
		t.Fatalf("repair: %+v, %v (%v)", report, err, context.Cause(ctx))
	}
}

// setting reads a number from the environment.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
