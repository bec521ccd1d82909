package storefront

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

// roundTripFunc lets a function be a transport.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestReplicaThatWasAwayIsAskedLastForAWhile(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var asked []string
	group, err := newReplicas("http://a,http://b", roundTripFunc(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.Host)
		if r.URL.Host == "a" {
			return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
		}
		return &http.Response{StatusCode: 200}, nil
	}), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	ask := func(times int) int {
		asked = nil
		for range times {
			if _, err := group.RoundTrip(httptest.NewRequest(http.MethodGet, "/", nil)); err != nil {
				t.Fatalf("no replica answered: %v", err)
			}
		}
		return len(slices.DeleteFunc(slices.Clone(asked), func(host string) bool { return host != "a" }))
	}
	if dials := ask(20); dials != 1 {
		t.Errorf("the replica that is away was dialled %d times in a row of 20, want once", dials)
	}
	now = now.Add(restAfterFailure)
	if dials := ask(20); dials != 1 {
		t.Errorf("after its rest it was dialled %d times, want once", dials)
	}
}
