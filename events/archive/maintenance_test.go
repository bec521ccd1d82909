package archive_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

// SetAside moves the end of the archive into the other collection; the archive then accepts another continuation.
func TestSetAsideMovesTheEnd(t *testing.T) {
	t.Parallel()
	for _, from := range []uint64{1, 2, 4, 5, 10, 11} {
		t.Run(fmt.Sprint(from), func(t *testing.T) {
			t.Parallel()
			db := projecttest.Database(t)
			a, aside := archive.New(db), archive.NewInCollection(db.Collection("archive_aside"))
			archiveTen(t, a)
			if err := a.SetAside(t.Context(), from, db.Collection("archive_aside")); err != nil {
				t.Fatal(err)
			}
			checkSetAside(t, a, aside, from)
			if got, err := a.FinishAside(t.Context()); err != nil || got != "" {
				t.Errorf("finish without an interrupted operation: got %q, %v; want nothing", got, err)
			}
			if err := a.Append(t.Context(), made(from, 12)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(made(1, 12), projecttest.Archived(t, a)); diff != "" {
				t.Errorf("archive after another append (-want +got):\n%s", diff)
			}
		})
	}
}

// archiveTen archives ten messages in three chunks.
func archiveTen(t *testing.T, a *archive.Archive) {
	t.Helper()
	for _, batch := range [][]archive.Archived{made(1, 3), made(4, 4), made(5, 10)} {
		if err := a.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
}

func checkSetAside(t *testing.T, a, aside *archive.Archive, from uint64) {
	t.Helper()
	if diff := cmp.Diff(made(1, from-1), projecttest.Archived(t, a)); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(made(from, 10), projecttest.Archived(t, aside)); diff != "" {
		t.Errorf("other collection (-want +got):\n%s", diff)
	}
	want := archive.Head{ID: "head"}
	if from > 1 {
		want.Last, want.EventID = from-1, fmt.Sprintf("event-%d", from-1)
	}
	if got, err := a.Head(t.Context()); err != nil || got != want {
		t.Errorf("head: got %+v, %v; want %+v", got, err, want)
	}
}

// SetAside is interrupted at each of its writes. The messages no longer count as archived, nothing is appended, no message is
// lost, and FinishAside completes the operation.
func TestInterruptedSetAsideIsCompleted(t *testing.T) {
	t.Parallel()
	const from = 3 // shortens the first chunk and moves the others
	for name, interrupted := range map[string]projecttest.Write{
		"BeforeTheCopy":    {Command: "update", Collection: "archive_aside"},
		"BeforeTheDeletes": {Command: "delete", Collection: archive.Collection},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := projecttest.NewMember(t)
			db, l := m.Database(t, "?directConnection=true"), logtest.Open(t)
			a, aside := archive.New(db), archive.NewInCollection(db.Collection("archive_aside"))
			archiveTen(t, a)
			m.StepDownDuring(interrupted, projecttest.NotPrimary)
			if err := a.SetAside(t.Context(), from, db.Collection("archive_aside")); err == nil {
				t.Fatal("set aside: got no error, want the refused write")
			}
			m.Elect()
			if diff := cmp.Diff(made(1, from-1), projecttest.Archived(t, a)); diff != "" {
				t.Errorf("archive after the interruption (-want +got):\n%s", diff)
			}
			for operation, err := range map[string]error{"append": a.Append(t.Context(), made(from, 12)), "check history": a.CheckHistory(t.Context(), l)} {
				if !errors.Is(err, eventlog.ErrTruncated) {
					t.Errorf("%s after the interruption: got %v, want %v", operation, err, eventlog.ErrTruncated)
				}
			}
			if got, err := a.FinishAside(t.Context()); err != nil || got != "archive_aside" {
				t.Fatalf("finish: got %q, %v; want archive_aside", got, err)
			}
			checkSetAside(t, a, aside, from)
		})
	}
}

// The newest archived event must be in the log at its sequence.
func TestCheckHistoryDetectsTruncatedLog(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, l *eventlog.Log, all []archive.Archived) // of the log
		want   error
	}{
		"Unchanged": {func(*testing.T, *eventlog.Log, []archive.Archived) {}, nil},
		"Longer":    {func(t *testing.T, l *eventlog.Log, _ []archive.Archived) { t.Helper(); adjust(t, l, 3) }, nil},
		"Empty":     {func(t *testing.T, l *eventlog.Log, _ []archive.Archived) { t.Helper(); replaceLog(t, l, nil) }, eventlog.ErrTruncated},
		"Shorter":   {func(t *testing.T, l *eventlog.Log, all []archive.Archived) { t.Helper(); replaceLog(t, l, all[:4]) }, eventlog.ErrTruncated},
		"OtherEvent": {func(t *testing.T, l *eventlog.Log, all []archive.Archived) {
			t.Helper()
			replaceLog(t, l, slices.Concat(all[:4], made(5, 9)))
		}, eventlog.ErrTruncated},
		"GapAtTheNewest": {func(t *testing.T, l *eventlog.Log, all []archive.Archived) {
			t.Helper()
			replaceLog(t, l, slices.Concat(all, made(6, 9)), 5)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, db := logtest.Open(t), projecttest.Database(t)
			a := archive.New(db)
			if err := a.CheckHistory(t.Context(), l); err != nil {
				t.Errorf("check history of an empty archive: %v", err)
			}
			adjust(t, l, 5)
			all := projecttest.Messages(t, l)
			if err := a.Append(t.Context(), all); err != nil {
				t.Fatal(err)
			}
			c.change(t, l, all)
			if err := a.CheckHistory(t.Context(), l); !errors.Is(err, c.want) {
				t.Errorf("check history: got %v, want %v", err, c.want)
			}
			if c.want == nil {
				return
			}
			w, err := worker.New(t.Context(), l, archiving(l, db))
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Run(t.Context()); !errors.Is(err, eventlog.ErrTruncated) {
				t.Errorf("run worker: got %v, want %v", err, eventlog.ErrTruncated)
			}
			if diff := cmp.Diff(all, projecttest.Archived(t, a)); diff != "" {
				t.Errorf("archive (-want +got):\n%s", diff)
			}
		})
	}
}
