package replay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Loop is which of a worker's three loops a consumer feeds.
type Loop string

// The loops of a worker.
const (
	LoopDecide   Loop = "decide"   // events become facts
	LoopAct      Loop = "act"      // events touch the world
	LoopRemember Loop = "remember" // events become documents: a view
)

// Consumer is how far one durable consumer has come.
type Consumer struct {
	Stream      string     `json:"stream"`
	Name        string     `json:"name"`
	Loop        Loop       `json:"loop"`
	Pending     uint64     `json:"pending"`     // not yet delivered
	Unacked     int        `json:"unacked"`     // delivered, not yet handled
	Redelivered int        `json:"redelivered"` // delivered again and still not handled
	Active      bool       `json:"active"`      // a process is pulling
	Done        uint64     `json:"done"`        // everything in the stream up to here is handled
	LastAck     *time.Time `json:"last_ack,omitempty"`
	Paused      *time.Time `json:"paused,omitempty"` // until when operators have it paused; nil: it is not
}

// Lag is how many events wait in all.
func (c Consumer) Lag() uint64 { return c.Pending + uint64(c.Unacked) }

// Consumers lists the durable consumers of all streams.
func (r *Reader) Consumers(ctx context.Context) ([]Consumer, error) {
	var consumers []Consumer
	for _, name := range Streams {
		lister := r.streams[name].ListConsumers(ctx)
		for info := range lister.Info() {
			if info.Config.Durable != "" { // what is not durable is somebody looking on, as we are
				consumers = append(consumers, consumer(info))
			}
		}
		if err := lister.Err(); err != nil {
			return nil, fmt.Errorf("list consumers of %s: %w", name, err)
		}
	}
	order := map[string]int{}
	for i, name := range Streams {
		order[name] = i
	}
	slices.SortFunc(consumers, func(a, b Consumer) int {
		return cmp.Or(cmp.Compare(order[a.Stream], order[b.Stream]), cmp.Compare(a.Name, b.Name))
	})
	return consumers, nil
}

func consumer(info *jetstream.ConsumerInfo) Consumer {
	c := Consumer{
		Stream: info.Stream, Name: info.Name, Loop: loopOf(info.Config), Pending: info.NumPending, Unacked: info.NumAckPending,
		Redelivered: info.NumRedelivered, Active: info.NumWaiting > 0, Done: info.AckFloor.Stream, LastAck: info.AckFloor.Last,
	}
	if info.Paused {
		c.Paused = info.Config.PauseUntil
	}
	return c
}

// loopOf tells by what only that loop does: acts are shared by all replicas, the others pinned to one; views are named so.
func loopOf(config jetstream.ConsumerConfig) Loop {
	switch {
	case config.PriorityPolicy != jetstream.PriorityPolicyPinned:
		return LoopAct
	case strings.HasSuffix(config.Durable, "-view"):
		return LoopRemember
	}
	return LoopDecide
}
