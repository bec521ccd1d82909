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

// roundTripFunc is a transport made of a function.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestUnreachableReplicaIsTriedLastForAWhile(t *testing.T) {
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
	dialsOfA := func(requests int) int {
		asked = nil
		for range requests {
			if _, err := group.RoundTrip(httptest.NewRequest(http.MethodGet, "/", nil)); err != nil {
				t.Fatalf("RoundTrip: %v", err)
			}
		}
		return len(slices.DeleteFunc(slices.Clone(asked), func(host string) bool { return host != "a" }))
	}
	if dials := dialsOfA(20); dials != 1 {
		t.Errorf("20 requests dialled the unreachable replica %d times, want 1", dials)
	}
	now = now.Add(cooldown)
	if dials := dialsOfA(20); dials != 1 {
		t.Errorf("after the cooldown, 20 requests dialled the unreachable replica %d times, want 1", dials)
	}
}
