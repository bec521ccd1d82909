package log

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// How long one try may go unanswered before the next, and the pauses between tries. A broker that dies takes what it had
// read with it and says nothing, and so does a cluster without a leader; one that is merely slow refuses the repetition.
const (
	oneTry     = time.Second
	tryAgain   = 20 * time.Millisecond
	longestGap = 250 * time.Millisecond
)

// recognise decides a conflict that may be with ourselves: the answer to an earlier try was lost. A request is stored
// whole or not at all, so one subject on which something follows the state that it expected tells: that is either its own
// message, and then all of it stands in the log, or a stranger's, and then none of it does or ever will. When nothing
// follows on any, because the earlier try is still on its way through the cluster or a copy that lags was asked, it is too
// early to say (errUnsettled): to call that a stranger's conflict would have the same fact decided and stored twice.
func (c *committer) recognise(r *request) (last uint64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), oneTry)
	defer cancel()
	err = errConflict // of one that expects nothing
	for i, m := range r.messages {
		if !expects(m) {
			continue
		}
		stored, own, nextErr := c.next(ctx, m)
		switch {
		case errors.Is(nextErr, jetstream.ErrMsgNotFound):
			err = errUnsettled
		case nextErr != nil:
			return 0, fmt.Errorf("recognise own append: %w", nextErr)
		case !own:
			return 0, errConflict
		default:
			r.first = stored - uint64(i)
			return r.first + uint64(len(r.messages)) - 1, nil
		}
	}
	return 0, err
}

// next is the message that follows the state which m expected of its subject, and whether it is m itself.
func (c *committer) next(ctx context.Context, m *nats.Msg) (seq uint64, own bool, err error) {
	expected, err := strconv.ParseUint(m.Header.Get(jetstream.ExpectedLastSubjSeqHeader), 10, 64)
	if err != nil {
		return 0, false, errors.Join(errRefused, fmt.Errorf("read own expectation: %w", err))
	}
	stored, err := c.log.reads[c.stream].GetMsg(ctx, expected+1, jetstream.WithGetMsgSubject(m.Subject))
	if err != nil {
		return 0, false, err
	}
	return stored.Sequence, stored.Header.Get(events.HeaderID) == m.Header.Get(events.HeaderID), nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
