package log

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

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

// recognise decides a conflict that may be with ourselves: the answer to an earlier try was lost. What follows the state
// that the request expected is either its own first message, and then all of it stands in the log, because it is stored
// whole; or it is a stranger's. When nothing follows yet, because the earlier try is still on its way through the cluster
// or a copy that lags was asked, it is too early to say (errUnsettled): to call that a stranger's conflict would have the
// same fact decided and stored a second time.
func (c *committer) recognise(r *request) (last uint64, err error) {
	i := slices.IndexFunc(r.messages, expects)
	if i < 0 {
		return 0, errConflict
	}
	m := r.messages[i]
	expected, err := strconv.ParseUint(m.Header.Get(jetstream.ExpectedLastSubjSeqHeader), 10, 64)
	if err != nil {
		return 0, errors.Join(errRefused, fmt.Errorf("read own expectation: %w", err))
	}
	ctx, cancel := context.WithTimeout(context.Background(), oneTry)
	defer cancel()
	stored, err := c.log.reads[c.stream].GetMsg(ctx, expected+1, jetstream.WithGetMsgSubject(m.Subject))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, errUnsettled
	case err != nil:
		return 0, fmt.Errorf("recognise own append: %w", err)
	case stored.Header.Get(events.HeaderID) != m.Header.Get(events.HeaderID):
		return 0, errConflict
	}
	r.first = stored.Sequence - uint64(i)
	return r.first + uint64(len(r.messages)) - 1, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
