package sandbox

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestShelfReadsColdStatesBack puts far more objects than stay in memory,
// changes some, and reads every one.
func TestShelfReadsColdStatesBack(t *testing.T) {
	t.Parallel()
	j, err := openJournal("")
	if err != nil {
		t.Fatal(err)
	}
	s := newShelf(j, plain[refund])
	const total = 3 * hotStates
	write := func(n int, amount int64) {
		state := &refund{ID: fmt.Sprintf("re_%d", n), Amount: amount}
		data, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		buf, line, _, err := appendLine(nil, lineHead{Kind: lineRefund, ID: state.ID}, data)
		if err != nil {
			t.Fatal(err)
		}
		start, err := j.commit(buf)
		if err != nil {
			t.Fatal(err)
		}
		place, fresh := s.put(state.ID, line.moved(start), state)
		if place != n || fresh != (amount == int64(n)) {
			t.Fatalf("refund %d is at %d, new %v", n, place, fresh)
		}
	}
	for n := range total {
		write(n, int64(n))
	}
	for n := 0; n < total; n += 7 { // cold and hot ones alike
		write(n, int64(n+total))
	}
	for n := range total {
		state, err := s.find(fmt.Sprintf("re_%d", n))
		if err != nil {
			t.Fatal(err)
		}
		want := int64(n)
		if n%7 == 0 {
			want += total
		}
		if state.Amount != want {
			t.Fatalf("refund %d has amount %d, want %d", n, state.Amount, want)
		}
		if len(s.hot) > hotStates {
			t.Fatalf("%d states are in memory", len(s.hot))
		}
	}
	if state, err := s.find("re_none"); state != nil || err != nil {
		t.Errorf("unknown id gave %v, %v", state, err)
	}
}

func TestLinesKeepWhatTheyAreGiven(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"pi_1", `quote"d`, `back\slash\\`, `ends with \`, `,"data":{`, `,"note":{"news":`, "Ünï\ncode", ""} {
		head := lineHead{Kind: lineAnswer, ID: id, Note: json.RawMessage(`{"a":"b"}`)}
		line, _, body, err := appendLine(nil, head, []byte(`{"x":",\"data\":"}`))
		if err != nil {
			t.Fatal(err)
		}
		e, err := parseLine(line, 0)
		if err != nil {
			t.Fatalf("id %q: %v", id, err)
		}
		if e.Kind != head.Kind || e.ID != id || string(e.Note) != string(head.Note) || e.data != body {
			t.Errorf("id %q came back as %+v, data %v, want %v", id, e.lineHead, e.data, body)
		}
	}
	for _, line := range []string{"\n", "}\n", "{\"kind\":}\n", "{\"kind\":\"x}\n", "{\"kind\":\"x\\\"}\n", `{"kind":"x"}`} {
		if _, err := parseLine([]byte(line), 0); err == nil {
			t.Errorf("line %q was taken", line)
		}
	}
}
