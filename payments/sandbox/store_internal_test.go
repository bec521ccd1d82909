package sandbox

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"tillstream/events/embedded/journal"
)

// TestObjectsOutsideTheCacheAreReadBack puts more objects than the cache holds, changes some and reads all of them.
func TestObjectsOutsideTheCacheAreReadBack(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(journal.Config{End: endMark})
	if err != nil {
		t.Fatal(err)
	}
	read := func(at int64) (record, error) {
		r, err := j.Read(at)
		return r, err
	}
	objects := newObjects(read, lineRefund, decodeObject[refund])
	const total = 3 * cachedStates
	write := func(n int, amount int64) {
		state := &refund{ID: fmt.Sprintf("re_%d", n), Amount: amount}
		data, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		buf, _, err := appendLine(nil, lineHead{Kind: lineRefund, ID: state.ID}, data)
		if err != nil {
			t.Fatal(err)
		}
		at, err := j.Append(append(buf, endLine...))
		if err != nil {
			t.Fatal(err)
		}
		index, created := objects.put(state.ID, at, state)
		if index != n || created != (amount == int64(n)) {
			t.Fatalf("refund %d: got index %d, created %v; want %d, %v", n, index, created, n, amount == int64(n))
		}
	}
	for n := range total {
		write(n, int64(n))
	}
	for n := 0; n < total; n += 7 { // in the cache or not
		write(n, int64(n+total))
	}
	for n := range total {
		state, err := objects.find(fmt.Sprintf("re_%d", n))
		if err != nil {
			t.Fatal(err)
		}
		want := int64(n)
		if n%7 == 0 {
			want += total
		}
		if state.Amount != want {
			t.Fatalf("refund %d: got amount %d, want %d", n, state.Amount, want)
		}
		if got := objects.cache.Len(); got > cachedStates {
			t.Fatalf("cache: got %d states, want at most %d", got, cachedStates)
		}
	}
	if state, err := objects.find("re_none"); state != nil || err != nil {
		t.Errorf("unknown id: got %v, %v; want nil", state, err)
	}
}

func TestLinesAreParsedAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"pi_1", `quote"d`, `back\slash\\`, `ends with \`, `,"data":{`, `,"note":{"news":`, "Ünï\ncode", ""} {
		head := lineHead{Kind: lineAnswer, ID: id, Note: json.RawMessage(`{"a":"b"}`)}
		const data = `{"x":",\"data\":"}`
		raw, body, err := appendLine([]byte("before\n"), head, []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		l, err := parseLine(raw[len("before\n"):])
		if err != nil {
			t.Fatalf("id %q: %v", id, err)
		}
		if l.kind != head.Kind || string(l.id) != id || string(l.note) != string(head.Note) || string(l.data) != data {
			t.Errorf("id %q: got line %s %s %s %s, want %s %s %s", id, l.kind, l.id, l.note, l.data, head.Kind, head.Note, data)
		}
		if part, err := record(raw).part(body.at, body.size); err != nil || string(part) != data {
			t.Errorf("id %q: got data %s at %v, %v; want %s", id, part, body, err, data)
		}
	}
	for _, line := range []string{"\n", "}\n", "{\"kind\":}\n", "{\"kind\":\"x}\n", "{\"kind\":\"x\\\"}\n", `{"kind":"x"}`} {
		if _, err := parseLine([]byte(line)); err == nil {
			t.Errorf("line %q: got no error, want one", line)
		}
	}
}

func TestIdempotencyKeysOlderThanADayAreDropped(t *testing.T) {
	t.Parallel()
	k := newIdempotencyKeys()
	begin := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	steps := []struct {
		hours   float64 // since the begin
		put     string
		present string // keys that must be found
		absent  string // keys that must not be found
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
		k.put(step.put, int64(n), begin.Add(time.Duration(step.hours*float64(time.Hour))))
		for _, key := range step.present {
			if _, ok := k.find(string(key)); !ok {
				t.Errorf("after %v hours: got no key %c, want it", step.hours, key)
			}
		}
		for _, key := range step.absent {
			if _, ok := k.find(string(key)); ok {
				t.Errorf("after %v hours: got key %c, want it dropped", step.hours, key)
			}
		}
	}
	if at, _ := k.find("a"); at != 6 {
		t.Errorf("key a: got position %d, want 6", at)
	}
}
