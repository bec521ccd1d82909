package log_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"tillstream/events/log"
)

// until polls for a fact.
func until(t *testing.T, what string, fact func() bool) {
	t.Helper()
	const patience = time.Minute
	again, enough := time.NewTicker(2*time.Millisecond), time.After(patience)
	defer again.Stop()
	for !fact() {
		select {
		case <-again.C:
		case <-enough:
			t.Fatalf("waited %s in vain until %s", patience, what)
		}
	}
}

// messages counts what a stream holds.
func messages(t *testing.T, l *log.Log, stream string) uint64 {
	t.Helper()
	s, err := l.JetStream().Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// lines is what a logger wrote.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements [io.Writer].
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, nil))
}
