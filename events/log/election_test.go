package log_test

import (
	"fmt"
	"slices"
	"testing"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Row 13 of the fault matrix, for those who append side by side while the stream has no leader: nobody is there to take
// their facts, and then somebody is. In what order they are taken is nobody's business, and no sign of a log that went
// back in time.
func TestAppendsThatNobodyWasThereToTakeAreTakenInAnyOrder(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	writer, operator := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	appendSideBySide(t, writer, "warm") // a committer that has just served many waits for as many
	for round := range 5 {
		restore := withoutLeader(t, operator)
		heard := writer.JetStream().Conn().Stats().InMsgs
		done := make(chan struct{})
		go func() {
			defer close(done)
			appendSideBySide(t, writer, fmt.Sprintf("round-%d", round))
		}()
		until(t, "nobody was there to take them", func() bool { return writer.JetStream().Conn().Stats().InMsgs >= heard+sideBySide })
		restore()
		<-done
	}
	if n := messages(t, operator, events.StreamShop); n != 6*sideBySide {
		t.Errorf("%d facts in the log, want %d", n, 6*sideBySide)
	}
}

// sideBySide is how many append at once: few enough to be published one by one.
const sideBySide = 16

func appendSideBySide(t *testing.T, l *log.Log, name string) {
	t.Helper()
	for _, err := range sideBySideOutcomes(t, l, name) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func sideBySideOutcomes(t *testing.T, l *log.Log, name string) (outcomes []error) {
	t.Helper()
	answers := make(chan error, sideBySide)
	for i := range sideBySide {
		go func() {
			answers <- l.Do(t.Context(), func(tx *log.Tx) error {
				id := fmt.Sprintf("%s-%d", name, i)
				if _, err := tallies.LoadNew(tx, id); err != nil {
					return err
				}
				return tallies.Append(tx, id, plus(1))
			})
		}()
	}
	for range sideBySide {
		outcomes = append(outcomes, <-answers)
	}
	return outcomes
}

// withoutLeader has nobody listen on the stream's subjects, as while its brokers choose a leader.
func withoutLeader(t *testing.T, l *log.Log) (restore func()) {
	t.Helper()
	s, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	listenOn := func(subjects ...string) {
		config.Subjects = subjects
		if _, err := l.JetStream().UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	before := slices.Clone(config.Subjects)
	listenOn(events.PrefixItem + "*")
	return func() { listenOn(before...) }
}
