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

// What is set aside lies in the other collection and not in the archive any more, which ends before it.
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
			isSetAside(t, a, aside, from)
			if other, err := a.FinishAside(t.Context()); err != nil || other != "" {
				t.Errorf("nothing was cut off, but it finishes %q, %v", other, err)
			}
			if err := a.Append(t.Context(), made(from, 12)); err != nil { // another history
				t.Fatal(err)
			}
			if diff := cmp.Diff(made(1, 12), archived(t, a, 0)); diff != "" {
				t.Errorf("what was appended afterwards: %s", diff)
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

func isSetAside(t *testing.T, a, aside *archive.Archive, from uint64) {
	t.Helper()
	if diff := cmp.Diff(made(1, from-1), archived(t, a, 0)); diff != "" {
		t.Errorf("the archive: %s", diff)
	}
	if diff := cmp.Diff(made(from, 10), archived(t, aside, 0)); diff != "" {
		t.Errorf("the other collection: %s", diff)
	}
	want := archive.Head{ID: "head"}
	if from > 1 {
		want.Last, want.EventID = from-1, fmt.Sprintf("event-%d", from-1)
	}
	if head, err := a.Head(t.Context()); err != nil || head != want {
		t.Errorf("head %+v, want %+v (%v)", head, want, err)
	}
}

// Setting aside is cut off at each of its writes. What is to go counts as gone at once, nothing is appended meanwhile, no
// message is lost, and it can be finished.
func TestSetAsideThatIsCutOffIsFinished(t *testing.T) {
	t.Parallel()
	const from = 3 // shortens the first chunk and moves the others
	for name, at := range map[string]projecttest.Write{
		"BeforeTheCopy":    {Command: "update", Collection: "archive_aside"},
		"BeforeTheDeletes": {Command: "delete", Collection: archive.Collection},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := projecttest.NewMember(t)
			db, l := m.Database(t, "?directConnection=true"), logtest.Open(t)
			a, aside := archive.New(db), archive.NewInCollection(db.Collection("archive_aside"))
			archiveTen(t, a)
			m.StepDownDuring(at, projecttest.NotPrimary)
			if err := a.SetAside(t.Context(), from, db.Collection("archive_aside")); err == nil {
				t.Fatal("it was not cut off")
			}
			m.Elect()
			if diff := cmp.Diff(made(1, from-1), archived(t, a, 0)); diff != "" {
				t.Errorf("what counts as archived meanwhile: %s", diff)
			}
			for what, err := range map[string]error{"appending": a.Append(t.Context(), made(from, 12)), "the lane": a.CheckHistory(t.Context(), l)} {
				if !errors.Is(err, eventlog.ErrTruncated) {
					t.Errorf("%s meanwhile: %v", what, err)
				}
			}
			if other, err := a.FinishAside(t.Context()); err != nil || other != "archive_aside" {
				t.Fatalf("finished %q, %v", other, err)
			}
			isSetAside(t, a, aside, from)
		})
	}
}

// The newest thing in the archive must be in the log, at its place.
func TestCheckHistoryNoticesALogThatWentBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, l *eventlog.Log, all []archive.Archived) // of the log
		want   error
	}{
		"Same":    {func(*testing.T, *eventlog.Log, []archive.Archived) {}, nil},
		"WentOn":  {func(t *testing.T, l *eventlog.Log, _ []archive.Archived) { t.Helper(); move(t, l, 3) }, nil},
		"Empty":   {func(t *testing.T, l *eventlog.Log, _ []archive.Archived) { t.Helper(); replaceLog(t, l, nil) }, eventlog.ErrTruncated},
		"Shorter": {func(t *testing.T, l *eventlog.Log, all []archive.Archived) { t.Helper(); replaceLog(t, l, all[:4]) }, eventlog.ErrTruncated},
		"AnotherEvent": {func(t *testing.T, l *eventlog.Log, all []archive.Archived) {
			t.Helper()
			replaceLog(t, l, slices.Concat(all[:4], made(5, 9)))
		}, eventlog.ErrTruncated},
		"LacksTheNewest": {func(t *testing.T, l *eventlog.Log, all []archive.Archived) {
			t.Helper()
			replaceLog(t, l, slices.Concat(all, made(6, 9)), 5)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, db := logtest.Open(t), projecttest.Database(t)
			a := archive.New(db)
			if err := a.CheckHistory(t.Context(), l); err != nil {
				t.Errorf("an empty archive: %v", err)
			}
			move(t, l, 5)
			all := messages(t, l)
			if err := a.Append(t.Context(), all); err != nil {
				t.Fatal(err)
			}
			c.change(t, l, all)
			if err := a.CheckHistory(t.Context(), l); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if c.want == nil {
				return
			}
			w, err := worker.New(t.Context(), l, lane(l, db))
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Run(t.Context()); !errors.Is(err, eventlog.ErrTruncated) {
				t.Errorf("a process that archives ended with %v, want %v", err, eventlog.ErrTruncated)
			}
			if diff := cmp.Diff(all, archived(t, a, 0)); diff != "" {
				t.Errorf("the archive has changed: %s", diff)
			}
		})
	}
}

// replaceLog puts another log in the place of the one that is there. It lacks messages: the shop's own denies deletion.
func replaceLog(t *testing.T, l *eventlog.Log, messages []archive.Archived, missing ...uint64) {
	t.Helper()
	js, config := l.JetStream(), eventlog.Streams(1)[0]
	config.DenyDelete = false
	if err := js.DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		publish(t, js, m)
	}
	for _, sequence := range missing {
		if err := stream.SecureDeleteMsg(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
	}
}
