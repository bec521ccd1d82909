package log_test

import (
	"errors"
	"testing"

	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Whenever the connection returns, a process compares the log with what it has seen of it. What it appends before the
// answer reaches it does not mean that the log went back, which would end the process.
func TestALogThatGrowsDidNotGoBack(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	grow := func() {
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
			t.Fatal(err)
		}
	}
	grow()
	if err := l.LookBack(t.Context(), grow); err != nil {
		t.Error(err)
	}
}

// An older copy of the broker's store was put back: it gives sequences a second time. The first append shows it, and its
// writer gets no answer to rely on; who watches the log is told.
func TestALogThatWentBackIsNotAppendedTo(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, operator := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	for range 3 {
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
			t.Fatal(err)
		}
	}
	damage(t, operator, 1)
	watched := make(chan error, 1)
	go func() { watched <- l.Monitor(t.Context()) }()
	tx := l.Begin(t.Context())
	if _, err := tallies.LoadNew(tx, "b"); err != nil {
		t.Fatal(err)
	}
	if err := tallies.Append(tx, "b", plus(1)); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); !errors.Is(err, log.ErrTruncated) || !errors.Is(err, log.ErrUnavailable) {
		t.Errorf("append: %v, want ErrUnavailable and ErrWentBack", err)
	}
	if err := <-watched; !errors.Is(err, log.ErrTruncated) {
		t.Errorf("watch: %v, want ErrWentBack", err)
	}
}
