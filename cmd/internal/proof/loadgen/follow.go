package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

// state is the part of an order that a shopper waits for.
type state struct {
	Status        string `json:"status"`
	PaymentStatus string `json:"payment_status"`
	Reason        struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"reason"`
}

// end reports whether the order has reached a final state, and returns an error unless that state is confirmed.
func (s state) end() (ended bool, err error) {
	switch s.Status {
	case "confirmed":
		if s.PaymentStatus == "refunded" || s.PaymentStatus == "partly_refunded" {
			return true, &Failure{Kind: Kind(s.PaymentStatus), Err: fmt.Errorf("the order is %s", s.PaymentStatus)}
		}
		return true, nil
	case "rejected":
		return true, &Failure{Kind: Kind("rejected_" + s.Reason.Code), Err: fmt.Errorf("rejected: %s", s.Reason.Message)}
	case "cancelled":
		return true, &Failure{Kind: Kind(s.Status), Err: errCancelled}
	case "expired":
		return true, &Failure{Kind: Kind(s.Status), Err: fmt.Errorf("the order is %s", s.Status)}
	}
	return false, nil
}

// errCancelled is the final state of a cancelled order: intended if the shopper's habit is to cancel, else a failure.
var errCancelled = errors.New("the order is cancelled")

// Follower waits until an order has reached a final state or ctx ends. It calls seen with every status on the way.
type Follower func(ctx context.Context, s *Shop, o Order, seen func(status string)) error

// errStreamEnded is returned when the event stream ends before the order, because the shop is stopping. It is retried.
var errStreamEnded = errors.New("the event stream ended before the order")

// FollowEvents follows an order over one connection of server-sent events, which it opens again when it breaks. When the shop has
// too many of them open, it polls, as the shop's page does.
func FollowEvents(ctx context.Context, s *Shop, o Order, seen func(string)) error {
	r := request{method: http.MethodGet, url: s.at.Storefront + "/api/orders/" + o.ID + "/events", bearer: o.Token}
	return s.client.retryLong.do(ctx, func() error {
		response, err := s.client.send(ctx, r)
		if isStatus(err, http.StatusTooManyRequests) || isStatus(err, http.StatusServiceUnavailable) {
			return FollowPolls(ctx, s, o, seen)
		}
		if err != nil {
			return err
		}
		defer response.Body.Close()
		return listen(response.Body, seen)
	})
}

var dataField = []byte("data:")

// listen reads server-sent events until the order has reached a final state. Only data fields matter: there is one event
// type, and every event carries the whole order, so that missed events need not be read again.
func listen(body io.Reader, seen func(string)) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxAnswer)
	var data []byte
	for lines.Scan() {
		line := lines.Bytes()
		if value, ok := bytes.CutPrefix(line, dataField); ok {
			data = append(append(data, bytes.TrimPrefix(value, []byte(" "))...), '\n')
			continue
		}
		if len(line) > 0 || len(data) == 0 {
			continue // another field, a heartbeat, or the end of an event without data
		}
		if ended, err := decodeState(data, seen); ended {
			return err
		}
		data = data[:0]
	}
	if lines.Err() != nil {
		return lines.Err()
	}
	return errStreamEnded
}

// FollowPolls follows an order by polling, at intervals from 10 to 100 ms.
func FollowPolls(ctx context.Context, s *Shop, o Order, seen func(string)) error {
	const first, longest = 10 * time.Millisecond, 100 * time.Millisecond
	r := request{method: http.MethodGet, url: s.at.Storefront + "/api/orders/" + o.ID, bearer: o.Token}
	for interval := first; ; interval = min(interval*3/2, longest) {
		if err := sleep(ctx, interval); err != nil {
			return err
		}
		var now state
		if err := s.client.call(ctx, s.client.retryLong, r, &now); err != nil {
			return err
		}
		seen(now.Status)
		if ended, err := now.end(); ended {
			return err
		}
	}
}

// decodeState decodes one event. Data that is not an order ends the following with an error.
func decodeState(data []byte, seen func(string)) (ended bool, err error) {
	var now state
	if err := json.Unmarshal(data, &now); err != nil {
		return true, fmt.Errorf("%w: event %.80q: %w", ErrBadAnswer, data, err)
	}
	seen(now.Status)
	return now.end()
}
