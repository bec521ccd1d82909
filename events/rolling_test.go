package events_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// noteLeft is an event with two versions: version 1 had one text, version 2 has lines.
type noteLeft struct {
	Lines []string `json:"lines"`
}

func (noteLeft) EventType() string { return "test.note_left" }

func TestMain(m *testing.M) {
	events.Define[noteLeft](2, map[int]events.Upcaster{1: func(data []byte) ([]byte, error) {
		text, found := strings.CutPrefix(string(data), `{"text":`)
		if !found {
			return nil, errors.New("no text")
		}
		return []byte(`{"lines":[` + strings.TrimSuffix(text, "}") + `]}`), nil
	}})
	events.DefineSince[giftWrapped](2)
	os.Exit(m.Run())
}

// notes is an entity with such events.
var notes = eventlog.Entity[[]string]{Prefix: events.PrefixOrder,
	Apply: func(lines []string, e events.Event) ([]string, error) {
		return append(append([]string(nil), lines...), e.Payload.(noteLeft).Lines...), nil
	}}

// Row 60 of the fault matrix: during a rolling deploy the log has events of the old and the new release, in any order. The new
// release reads both versions; a version newer than its own is an error.
func TestEveryVersionOfAnEventIsReadAsTheNewest(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	revision := uint64(0)
	publish := func(version, body string) {
		t.Helper()
		revision++
		msg, err := events.Encode(events.Event{ID: "note-" + body, Source: "test", Time: l.Now(), Revision: revision, Subject: events.PrefixOrder + "n", Payload: noteLeft{}})
		if err != nil {
			t.Fatal(err)
		}
		if got := msg.Header.Get(events.HeaderVersion); got != "2" {
			t.Fatalf("version header: got %s, want 2", got)
		}
		msg.Header.Set(events.HeaderVersion, version)
		msg.Data = []byte(body)
		if _, err := l.JetStream().PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	publish("1", `{"text":"old"}`)
	publish("2", `{"lines":["new","and longer"]}`)
	publish("1", `{"text":"old again"}`)
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
		if _, err := notes.Load(tx, "n"); err != nil {
			return err
		}
		return notes.Append(tx, "n", noteLeft{Lines: []string{"new again"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := notes.Read(t.Context(), logtest.OpenOn(t, server), "n")
	if diff := cmp.Diff([]string{"old", "new", "and longer", "old again", "new again"}, got); err != nil || diff != "" {
		t.Fatalf("got error %v; lines (-want +got):\n%s", err, diff)
	}
	revision++ // that of "new again"
	publish("3", `{"from":"the future"}`)
	if _, _, err := notes.Read(t.Context(), l, "n"); !errors.Is(err, eventlog.ErrUnreadable) || !errors.Is(err, events.ErrUnknownVersion) {
		t.Errorf("version 3: got %v, want ErrUnreadable and ErrUnknownVersion", err)
	}
}
