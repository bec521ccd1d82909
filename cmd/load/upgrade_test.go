//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// nextRelease is the difference of the next release: an event type on an existing and on a new subject, a stream setting, a
// decision and a lane.
var nextRelease = []proc.Edit{
	edit("events/topology.go", fmt.Sprintf("const Topology = %d\n", events.Topology), fmt.Sprintf("const Topology = %d\n", events.Topology+1)),
	edit("events/definitions.go", "define[OrderRefunded](1, nil),\n", fmt.Sprintf("define[OrderRefunded](1, nil),\n\tdefine[OrderNoted](1, nil).since(%d),\n", events.Topology+1)),
	edit("events/orders.go", "// OrderRefunded: ", `// OrderNoted is new.
type OrderNoted struct {
	OrderID string
}

// EventType implements [Payload].
func (OrderNoted) EventType() string { return "orders.noted" }

// OrderRefunded: `),
	edit("events/topology.go", `"orders.*", "customers.*",`, `"orders.*", "orders.notes.*", "customers.*",`),
	edit("events/log/topology.go", "AllowDirect: true, AllowAtomicPublish: true,", "AllowDirect: true, AllowAtomicPublish: true, AllowMsgTTL: true,"),
	edit("orders/after.go", "\tcase events.OrderRefunded:\n", "\tcase events.OrderNoted:\n\t\treturn o, nil\n\tcase events.OrderRefunded:\n"),
	edit("orders/worker.go", "\t\tRoutes:    routes(s.config.HoldFor),\n", `		Routes:    routes(s.config.HoldFor),
		Actors: []worker.Actor{{Name: "orders.notes", Routes: []worker.ActRoute{
			worker.Do(func(context.Context, events.Event, events.OrderNoted) error { return nil })}}},
`),
	edit("orders/worker.go", "\treturn []worker.Route{\n", `	return []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.OrderConfirmed) error {
			noted := events.OrderNoted{OrderID: p.OrderID}
			known, err := notes.Load(tx, p.OrderID)
			if err != nil || known || !tx.MayWrite(noted) {
				return err
			}
			return errors.Join(Orders.Append(tx, p.OrderID, noted), notes.Append(tx, p.OrderID, noted))
		}),
`),
	edit("orders/worker.go", "// routes maps", `var notes = eventlog.Entity[bool]{Prefix: "orders.notes.", Apply: func(bool, events.Event) (bool, error) { return true, nil }}

// routes maps`),
}

func edit(file, from, to string) proc.Edit { return proc.Edit{File: file, From: from, To: to} }

// buildNext builds the programs of the next release: the source of this one with edits.
func buildNext(t *testing.T) (dir string) {
	t.Helper()
	packages := []string{}
	for _, name := range append([]string{"ops"}, fleet.Workers...) {
		packages = append(packages, "tillstream/cmd/"+name)
	}
	dir = t.TempDir()
	if err := proc.BuildEdited(t.Context(), dir, nextRelease, packages...); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Row 60 of the fault matrix: during sales every worker is replaced by the next release, one process at a time, halfway back and
// forward again. The next release adds an event type, a subject, a stream setting, a decision and a lane. Nothing new is
// written while a process of this release runs. Afterwards no such process starts, and one that was suspended exits. In the
// end every order is final, no event is a dead letter, and every invariant holds.
func TestUpgradeInPlace(t *testing.T) {
	if testing.Short() || proc.Raced {
		t.Skip("builds the programs of two releases and replaces the processes of a shop for a minute; TestSoak has the race detector in them")
	}
	length, rate := setting(t, "UPGRADE", "45s"), setting(t, "UPGRADE_RATE", "50")
	u := &upgrade{t: t, older: programs(t), newer: buildNext(t)}
	c, err := parse(t, "--soak", length, "--rate", rate, "--concurrency", "64", "--no-verify", "--bin", u.older)
	if err != nil {
		t.Fatal(err)
	}
	c.meanwhile = u.roll
	if _, report := runLocalShop(t, c); report.Orders == 0 || !u.done {
		t.Errorf("got done %t and report %+v, want all steps done and orders", u.done, report)
	}
}

// upgrade replaces the workers of a fleet by those of another release.
type upgrade struct {
	t            *testing.T
	older, newer string // directories of programs
	done         bool
}

func (u *upgrade) roll(sales context.Context, shop *fleet.Fleet) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(sales), 5*time.Minute)
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
		{"replace one process of each worker", func() error { return u.replace(ctx, shop, u.newer, half...) }},
		{"wait for orders of both releases", func() error { return u.more(ctx, reader, 500) }},
		{"expect the new topology", func() error { return u.expectTopology(ctx, reader) }},
		{"expect no new events", func() error { return u.expectNothingNew(ctx, reader) }},
		{"roll back", func() error { return u.replace(ctx, shop, u.older, half...) }},
		{"wait for orders after the rollback", func() error { return u.more(ctx, reader, 500) }},
		{"suspend one process", suspended.Suspend},
		{"replace all others", func() error { return u.replace(ctx, shop, u.newer, shop.Workers[:len(shop.Workers)-1]...) }},
		{"wait for new events", func() error { return u.awaitNotes(ctx, reader, 20) }},
		{"expect that the suspended process exits", func() error { return u.resumedExits(ctx, suspended) }},
		{"expect that the older release does not start", func() error { return u.refused(ctx, shop.Workers[0]) }},
		{"replace the suspended process", func() error { return u.replace(ctx, shop, u.newer, suspended) }},
		{"wait for the new lane", func() error { return u.laneWorks(ctx, reader) }},
		{"wait for the end of sales", func() error { return u.salesEnd(ctx, sales) }},
		{"expect no dead letters", func() error { return u.expectNoDeadLetters(ctx, reader) }},
		{"verify the invariants", func() error { return u.verify(ctx, shop.Shop) }},
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

// until polls until a condition holds.
func (u *upgrade) until(ctx context.Context, holds func() (bool, error)) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// more waits until the log has n more events.
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
	if !slices.Contains(config.Subjects, "orders.notes.*") || !config.AllowMsgTTL || state.Applied != events.Topology+1 || state.Written != events.Topology {
		return fmt.Errorf("got stream %+v and topology %+v, want what the next release adds, applied and not written", config, state)
	}
	return nil
}

// notes counts the events that only the next release writes.
func notes(ctx context.Context, reader *replay.Reader) (n int, err error) {
	err = reader.Each(ctx, replay.Range{Subjects: []string{"orders.notes.*"}}, func(replay.Message) error { n++; return nil })
	return n, err
}

func (u *upgrade) expectNothingNew(ctx context.Context, reader *replay.Reader) error {
	if n, err := notes(ctx, reader); n > 0 || err != nil {
		return fmt.Errorf("got %d new events, want none: %w", n, err)
	}
	return nil
}

func (u *upgrade) awaitNotes(ctx context.Context, reader *replay.Reader, want int) error {
	return u.until(ctx, func() (bool, error) {
		n, err := notes(ctx, reader)
		return n >= want, err
	})
}

// resumedExits resumes the process that was suspended while the next release took over, and waits until it exits.
func (u *upgrade) resumedExits(ctx context.Context, r *fleet.Replica) error {
	if err := r.Resume(); err != nil {
		return err
	}
	return u.until(ctx, func() (bool, error) { return r.Crashes() > 0, nil })
}

// refused expects that a process of this release exits with the reason.
func (u *upgrade) refused(ctx context.Context, r *fleet.Replica) error {
	command := r.Command()
	command.Name, command.Path = "too old", filepath.Join(u.older, r.Worker)
	command.Env = append(slices.Clone(command.Env), "HTTP_ADDR=127.0.0.1:0")
	var output strings.Builder // written by one goroutine, which ends before the process counts as ended
	command.Output = func(line string) { fmt.Fprintln(&output, line) }
	process, err := proc.Start(command)
	if err != nil {
		return err
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		return errors.Join(ctx.Err(), process.Kill())
	}
	if why := fmt.Sprintf("the shop has events of topology %d, this program knows %d", events.Topology+1, events.Topology); process.ExitStatus() != "exit status 1" || !strings.Contains(output.String(), why) {
		return fmt.Errorf("got %s and output %s, want exit status 1 and %q", process.ExitStatus(), output.String(), why)
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

func (u *upgrade) salesEnd(ctx, sales context.Context) error {
	select {
	case <-sales.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// verify checks the invariants with the next release's ops, since this one's refuses the newer topology.
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
		return fmt.Errorf("got %d dead letters, want none: %w", len(letters), err)
	}
	return nil
}
