package replay_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/replay"
)

// Row 64 of the fault matrix: an audit names every way in which log and archive can differ, and finds nothing in equal copies.
func TestAuditNamesEveryDifference(t *testing.T) {
	t.Parallel()
	c := newInstallation(t)
	c.replaceLog()
	c.archive(func() { c.adjust("1", "A", "", 1) }, func() { c.adjust("2", "B", "", 1) }, func() { c.adjust("3", "C", "", 1) },
		func() { c.adjust("4", "D", "", 1) }, func() { c.adjust("5", "E", "", 1) }, func() { c.adjust("6", "F", "", 1) },
		func() { c.adjust("7", "G", "", 1) }, func() { c.adjust("8", "H", "", 1) }, func() { c.adjust("9", "I", "", 1) })
	audit := func() replay.AuditReport {
		t.Helper()
		report, err := replay.Audit{DB: c.db, Log: c.Reader}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if r := audit(); r.Differences != 0 || r.Events != 9 || r.At.IsZero() {
		t.Errorf("equal copies: got %+v, want 9 events and no difference", r)
	}
	change := func(sequence uint64, fn func(*archive.Archived)) {
		m, err := c.Get(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		a := archive.From(m)
		fn(&a)
		if err := archive.New(c.db).Restore(t.Context(), []archive.Archived{a}); err != nil {
			t.Fatal(err)
		}
	}
	c.deleteMessages(2, 3)
	c.loseChunk("000000000004")
	c.damageChunk("000000000005")
	change(6, func(a *archive.Archived) { a.Text += " " })
	change(7, func(a *archive.Archived) { a.Subject = events.PrefixStock + "X" })
	change(8, func(a *archive.Archived) { a.Headers.Set("ce-actor", "somebody") })
	change(9, func(a *archive.Archived) { a.Headers.Set(events.HeaderID, "other") })
	c.adjust("10", "A", "", 2) // not archived
	r := audit()
	var got []replay.Difference
	for _, d := range r.First {
		d.Detail = ""
		got = append(got, d)
	}
	want := []replay.Difference{{From: 10, To: 10, Kind: replay.NotArchivedYet}, {From: 2, To: 3, Kind: replay.MissingInLog},
		{From: 5, To: 5, Kind: replay.UnreadableChunk}, {From: 4, To: 5, Kind: replay.MissingInArchive}, {From: 6, To: 6, Kind: replay.OtherEvent},
		{From: 7, To: 7, Kind: replay.OtherEvent}, {From: 8, To: 8, Kind: replay.OtherEvent}, {From: 9, To: 9, Kind: replay.OtherEvent}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differences: -want +got:\n%s\n%+v", diff, r)
	}
}
