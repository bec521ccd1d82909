package sandbox_test

import (
	"testing"
	"time"
)

func TestTheClockMovesForward(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	before := s.create().Created
	got := s.control("POST", "/sandbox/clock", `{"advance":"168h"}`)
	var answer struct{ Now time.Time }
	got.decode(t, &answer)
	if want := s.clock.Now().Add(168 * time.Hour); got.status != 200 || !answer.Now.Equal(want) {
		t.Errorf("got %d, %s; want 200, %s", got.status, answer.Now, want)
	}
	s.restart()
	if moved := s.create().Created - before; moved != 168*3600 {
		t.Errorf("after a restart: got an intent created %d s later, want a week", moved)
	}
	for _, wrong := range []string{`{"advance":"-1s"}`, `{"advance":"soon"}`, `{"forward":"1s"}`} {
		if got := s.control("POST", "/sandbox/clock", wrong); got.status != 400 {
			t.Errorf("%s: got %d, want 400", wrong, got.status)
		}
	}
	if _, err := s.Advance(-time.Second); err == nil {
		t.Error("Advance by a negative duration: got no error, want one")
	}
}
