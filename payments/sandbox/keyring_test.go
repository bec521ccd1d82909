package sandbox

import (
	"testing"
	"time"
)

func TestKeyringForgetsWhatIsOlderThanADay(t *testing.T) {
	t.Parallel()
	k := newKeyring()
	begin := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	steps := []struct {
		hours float64 // since the beginning
		keep  string
		known string // all of them must be known, and
		gone  string // none of these
	}{
		{0, "a", "a", "bcdef"},
		{23.9, "b", "ab", "cdef"},
		{24, "c", "abc", "def"},
		{47.9, "d", "bcd", "ef"},
		{48, "e", "cde", "abf"},
		{120, "f", "f", "abc"},
		{144, "a", "af", "bcde"},
	}
	for n, step := range steps {
		k.keep(step.keep, int64(n), begin.Add(time.Duration(step.hours*float64(time.Hour))))
		for _, key := range step.known {
			if _, ok := k.find(string(key)); !ok {
				t.Errorf("after %v hours %c is forgotten", step.hours, key)
			}
		}
		for _, key := range step.gone {
			if _, ok := k.find(string(key)); ok {
				t.Errorf("after %v hours %c is known", step.hours, key)
			}
		}
	}
	if at, _ := k.find("a"); at != 6 {
		t.Errorf("a was kept last by step %d, want 6", at)
	}
}
