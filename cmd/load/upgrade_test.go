//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/replay"
)

// edit is a change of one file of the source.
type edit struct{ file, from, to string }

// nextRelease is what the next release has more than this one: a type of event on a subject that there is already and on a new
// one, a setting of the stream, a decision and a lane.
var nextRelease = []edit{
	{"events/topology.go", "const Topology = 1\n", "const Topology = 2\n"},
	{"events/definitions.go", "define[OrderRefunded](1, nil),\n", "define[OrderRefunded](1, nil),\n\tdefine[OrderNoted](1, nil).since(2),\n"},
	{"events/orders.go", "// OrderRefunded: ", `// OrderNoted is new.
type OrderNoted struct {
	OrderID string
}

// EventType implements [Payload].
func (OrderNoted) EventType() string { return "orders.noted" }

// OrderRefunded: `},
	{"events/topology.go", `"orders.*", "customers.*",`, `"orders.*", "orders.notes.*", "customers.*",`},
	{"events/log/topology.go", "AllowDirect: true, AllowAtomicPublish: true,", "AllowDirect: true, AllowAtomicPublish: true, AllowMsgTTL: true,"},
	{"orders/order.go", "\tcase events.OrderRefunded:\n", "\tcase events.OrderNoted:\n\t\treturn o, nil\n\tcase events.OrderRefunded:\n"},
	{"orders/worker.go", "\t\tRoutes:    routes(),\n", `		Routes:    routes(),
		Actors: []worker.Actor{{Name: "orders.notes", Routes: []worker.ActRoute{
			worker.Do(func(context.Context, events.Event, events.OrderNoted) error { return nil })}}},
`},
	{"orders/worker.go", "\treturn []worker.Route{\n", `	return []worker.Route{
		worker.On(func(tx *log.Tx, _ events.Event, p events.OrderConfirmed) error {
			noted := events.OrderNoted{OrderID: p.OrderID}
			known, err := notes.Load(tx, p.OrderID)
			if err != nil || known || !tx.MayWrite(noted) {
				return err
			}
			return errors.Join(Orders.Append(tx, p.OrderID, noted), notes.Append(tx, p.OrderID, noted))
		}),
`},
	{"orders/worker.go", "// routes maps", `var notes = log.Entity[bool]{Prefix: "orders.notes.", Apply: func(bool, events.Event) (bool, error) { return true, nil }}

// routes maps`},
}

// buildNext builds the programs of the next release: this one's source with edits.
func buildNext(t *testing.T) (dir string) {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(here), "..", "..")
	sources, scratch := map[string]string{}, t.TempDir()
	for _, e := range nextRelease {
		path := filepath.Join(root, filepath.FromSlash(e.file))
		text, ok := sources[path]
		if !ok {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text = string(data)
		}
		if strings.Count(text, e.from) != 1 {
			t.Fatalf("%s has %q %d times, want it once: the next release's edits do not fit any more", e.file, e.from, strings.Count(text, e.from))
		}
		sources[path] = strings.Replace(text, e.from, e.to, 1)
	}
	replace := map[string]string{}
	for path, text := range sources {
		instead := filepath.Join(scratch, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(instead, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[path] = instead
	}
	overlay := filepath.Join(scratch, "overlay.json")
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(overlay, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	packages := []string{}
	for _, name := range append([]string{"ops"}, fleet.Workers...) {
		packages = append(packages, "tillstream/cmd/"+name)
	}
	dir = t.TempDir()
	if err := proc.Build(t.Context(), dir, []string{"-overlay", overlay}, packages...); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Row 60 of the fault matrix: people shop while every worker is replaced by one of the next release, one process at a time; halfway that is taken back.
// The next release adds a type of event, a subject, a setting of the stream, a decision and a lane. Nothing new is written while
// a process of this release runs; afterwards none of them starts, and one that was suspended meanwhile ends. In the end every
// order has its end, no event is a dead letter, and every promise holds.
func TestUpgradeInPlace(t *testing.T) {
	if testing.Short() || proc.Raced {
		t.Skip("builds the programs of two releases and replaces the processes of a shop for a minute; TestSoak has the race detector in them")
	}
	length, rate := setting(t, "UPGRADE", "45s"), setting(t, "UPGRADE_RATE", "50")
	u := &upgrade{t: t, older: programs(t), newer: buildNext(t)}
	file := filepath.Join(t.TempDir(), "report.json")
	c, err := parse(t, "--soak", length, "--rate", rate, "--concurrency", "64", "--no-verify", "--bin", u.older, "--keep", t.TempDir(), "--json", file)
	if err != nil {
		t.Fatal(err)
	}
	c.meanwhile = u.roll
	var out bytes.Buffer
	if err := c.run(t.Context(), &out, t.Output()); err != nil {
		t.Errorf("%v\n%s%s", err, out.Bytes(), lastWords(t, c.Keep))
	}
	t.Logf("%s", out.Bytes())
	var report struct {
		Orders int
	}
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &report)
	}
	if err != nil || report.Orders == 0 || !u.done {
		t.Errorf("done %t, the report is %s, %v", u.done, data, err)
	}
}

// upgrade replaces the workers of a fleet.
type upgrade struct {
	t            *testing.T
	older, newer string // directories of programs
	done         bool
}

func (u *upgrade) roll(shopping context.Context, shop *fleet.Fleet) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(shopping), 5*time.Minute)
	defer cancel()
	reader, stop, err := shop.Shop.Log(ctx)
	if err != nil {
		return err
	}
	defer stop()
	suspended := shop.Workers[len(shop.Workers)-1]
	half := shop.Workers[:len(fleet.Workers)]
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"wait for orders", func() error { return u.more(ctx, reader, 200) }},
		{"one of each worker is new", func() error { return u.replace(ctx, shop, u.newer, half...) }},
		{"both releases work", func() error { return u.more(ctx, reader, 500) }},
		{"what the release needs is there", func() error { return u.expectTopology(ctx, reader) }},
		{"nothing new is written", func() error { return u.expectNothingNew(ctx, reader) }},
		{"it is taken back", func() error { return u.replace(ctx, shop, u.older, half...) }},
		{"the older one works", func() error { return u.more(ctx, reader, 500) }},
		{"one process is suspended", suspended.Suspend},
		{"all others are new", func() error { return u.replace(ctx, shop, u.newer, shop.Workers[:len(shop.Workers)-1]...) }},
		{"something new is written", func() error { return u.awaitNotes(ctx, reader, 20) }},
		{"the suspended process ends", func() error { return u.wakes(ctx, suspended) }},
		{"the older one does not start", func() error { return u.refused(ctx, shop.Workers[0]) }},
		{"all are new", func() error { return u.replace(ctx, shop, u.newer, suspended) }},
		{"the new lane works", func() error { return u.laneWorks(ctx, reader) }},
		{"the shop closes", func() error { return u.closes(ctx, shopping) }},
		{"nothing is a dead letter", func() error { return u.expectNoDeadLetters(ctx, reader) }},
		{"every promise holds", func() error { return u.verify(ctx, shop.Shop) }},
	} {
		began := time.Now()
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		u.t.Logf("%s: %s", step.what, time.Since(began).Round(time.Millisecond))
	}
	u.done = true
	return nil
}

func (u *upgrade) replace(ctx context.Context, shop *fleet.Fleet, programs string, replicas ...*fleet.Replica) error {
	for _, r := range replicas {
		if err := shop.Replace(ctx, r, programs); err != nil {
			return err
		}
	}
	return nil
}

// until waits for a fact.
func (u *upgrade) until(ctx context.Context, fact func() (bool, error)) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ok, err := fact(); ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// more waits until the log has so many more events.
func (u *upgrade) more(ctx context.Context, reader *replay.Reader, n uint64) error {
	from, err := reader.Last(ctx)
	if err != nil {
		return err
	}
	return u.until(ctx, func() (bool, error) {
		last, err := reader.Last(ctx)
		return last >= from+n, err
	})
}

func (u *upgrade) expectTopology(ctx context.Context, reader *replay.Reader) error {
	stream, err := reader.Log().JetStream().Stream(ctx, events.StreamShop)
	if err != nil {
		return err
	}
	config := stream.CachedInfo().Config
	state, err := reader.Log().TopologyState(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(config.Subjects, "orders.notes.*") || !config.AllowMsgTTL || state.Applied != 2 || state.Written != 1 {
		return fmt.Errorf("the stream is %+v, the topology %+v", config, state)
	}
	return nil
}

// notes counts what only the next release writes.
func notes(ctx context.Context, reader *replay.Reader) (n int, err error) {
	err = reader.Each(ctx, replay.Range{Subjects: []string{"orders.notes.*"}}, func(replay.Message) error { n++; return nil })
	return n, err
}

func (u *upgrade) expectNothingNew(ctx context.Context, reader *replay.Reader) error {
	if n, err := notes(ctx, reader); n > 0 || err != nil {
		return fmt.Errorf("%d new events, %w", n, err)
	}
	return nil
}

func (u *upgrade) awaitNotes(ctx context.Context, reader *replay.Reader, want int) error {
	return u.until(ctx, func() (bool, error) {
		n, err := notes(ctx, reader)
		return n >= want, err
	})
}

// wakes has a process go on that was suspended while the next release took over. It ends, and does not start again.
func (u *upgrade) wakes(ctx context.Context, r *fleet.Replica) error {
	if err := r.Resume(); err != nil {
		return err
	}
	return u.until(ctx, func() (bool, error) { return r.Falls() > 0, nil })
}

// refused expects that a process of this release ends by itself and says why.
func (u *upgrade) refused(ctx context.Context, r *fleet.Replica) error {
	command := r.Command()
	command.Name, command.Path = "too old", filepath.Join(u.older, r.Worker)
	command.Env = append(slices.Clone(command.Env), "HTTP_ADDR=127.0.0.1:0")
	var said strings.Builder // is written by one goroutine, which ends before the process counts as ended
	command.Output = func(line string) { fmt.Fprintln(&said, line) }
	process, err := proc.Start(command)
	if err != nil {
		return err
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		return errors.Join(ctx.Err(), process.Kill())
	}
	if why := "the shop has events of topology 2, this program knows 1"; process.ExitStatus() != "exit status 1" || !strings.Contains(said.String(), why) {
		return fmt.Errorf("it ended with %s, and said %s", process.ExitStatus(), said.String())
	}
	return nil
}

func (u *upgrade) laneWorks(ctx context.Context, reader *replay.Reader) error {
	return u.until(ctx, func() (bool, error) {
		lanes, err := reader.Lanes(ctx)
		i := slices.IndexFunc(lanes, func(l replay.Lane) bool { return l.Name == "orders.notes" })
		return i >= 0 && lanes[i].Holder != "" && lanes[i].Position > 0, err
	})
}

func (u *upgrade) closes(ctx, shopping context.Context) error {
	select {
	case <-shopping.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// verify has the next release check the shop: the tools of this one refuse to.
func (u *upgrade) verify(ctx context.Context, shop target.Shop) error {
	file := filepath.Join(u.newer, "shop.json")
	data, err := json.Marshal(shop)
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(u.newer, "ops"), "verify", "--wait", "2m", "--shop", file).CombinedOutput()
	u.t.Logf("ops verify\n%s", out)
	return err
}

func (u *upgrade) expectNoDeadLetters(ctx context.Context, reader *replay.Reader) error {
	letters, err := reader.DeadLetters(ctx, 0)
	if len(letters) > 0 || err != nil {
		return fmt.Errorf("%d dead letters, %w", len(letters), err)
	}
	return nil
}
