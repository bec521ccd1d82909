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
	s := newShelf(j, lineRefund, plain[refund])
	const total = 3 * hotStates
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
		at, err := j.commit(append(buf, endLine...))
		if err != nil {
			t.Fatal(err)
		}
		place, fresh := s.put(state.ID, at, state)
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
