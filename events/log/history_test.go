package log_test

import (
	"testing"

	"tillstream/events"
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
	if err := l.LookBack(t.Context(), events.StreamInventory, grow); err != nil {
		t.Error(err)
	}
}
