package view

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"golang.org/x/sync/errgroup"

	"tillstream/events"
)

// fetch is how many messages are on their way at once.
const fetch = 2000

// each calls fn for the messages of a stream that stand between two sequences, the later of which exists.
func each(ctx context.Context, js jetstream.JetStream, stream string, from, to uint64, fn func(*jetstream.RawStreamMsg) error) error {
	if to == 0 || from > to {
		return nil
	}
	consumer, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1)})
	if err != nil {
		return fmt.Errorf("read %s: %w", stream, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(fetch))
	if err != nil {
		return fmt.Errorf("read %s: %w", stream, err)
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		msg, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) && ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		sequence := meta.Sequence.Stream
		err = fn(&jetstream.RawStreamMsg{Subject: msg.Subject(), Sequence: sequence, Header: msg.Headers(), Data: msg.Data(), Time: meta.Timestamp})
		if err != nil || sequence >= to {
			return err
		}
	}
}

// How single entities are read.
const (
	readersAtOnce = 8
	readBatch     = 256
	readPatience  = 2 * time.Second // a follower that lags may answer a direct get
)

// foldAt folds single entities, each up to the event that wanted gives it. Where there is no such event it folds what
// there is before it.
func foldAt(ctx context.Context, js jetstream.JetStream, stream string, f *folder, wanted map[entityRef]uint64) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readersAtOnce)
	entities := make(chan map[entityRef]*folded, readersAtOnce)
	gathered := make(chan struct{})
	go func() {
		defer close(gathered)
		for some := range entities {
			for ref, e := range some {
				f.entities[ref] = e
			}
		}
	}()
	for ref, at := range wanted {
		group.Go(func() error {
			one := newFolder(f.collections)
			for deadline := time.Now().Add(readPatience); !one.reached(ref, at) && time.Now().Before(deadline); {
				one.entities = map[entityRef]*folded{}
				if err := foldOne(ctx, js, stream, one, ref, at); err != nil {
					return err
				}
			}
			entities <- one.entities
			return nil
		})
	}
	err := group.Wait()
	close(entities)
	<-gathered
	return err
}

// reached reports whether an entity was folded up to an event, or turned out not to be readable.
func (f *folder) reached(ref entityRef, at uint64) bool {
	e := f.entities[ref]
	return e != nil && (e.seq == at || e.err != nil)
}

func foldOne(ctx context.Context, js jetstream.JetStream, stream string, f *folder, ref entityRef, to uint64) error {
	if f.collections[ref.collection].lastOnly {
		if found, err := foldLast(ctx, js, stream, f, ref, to); found || err != nil {
			return err
		}
	}
	for from := uint64(1); from <= to; {
		messages, err := jetstreamext.GetBatch(ctx, js, stream, readBatch, jetstreamext.GetBatchSubject(f.subject(ref)), jetstreamext.GetBatchSeq(from))
		if err != nil {
			return fmt.Errorf("read %s: %w", f.subject(ref), err)
		}
		last := uint64(0)
		for m, err := range messages {
			if errors.Is(err, jetstreamext.ErrNoMessages) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read %s: %w", f.subject(ref), err)
			}
			if last = m.Sequence; last <= to {
				f.add(ref, m)
			}
		}
		if last == 0 {
			return nil
		}
		from = last + 1
	}
	return nil
}

// foldLast folds an entity that carries its whole state in every event. What is no event of ours says nothing of it: then
// all that was said before has to be looked at.
func foldLast(ctx context.Context, js jetstream.JetStream, stream string, f *folder, ref entityRef, to uint64) (found bool, err error) {
	messages, err := jetstreamext.GetLastMsgsFor(ctx, js, stream, []string{f.subject(ref)}, jetstreamext.GetLastMsgsUpToSeq(to))
	if err != nil {
		return false, fmt.Errorf("read the last of %s: %w", f.subject(ref), err)
	}
	for m, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("read the last of %s: %w", f.subject(ref), err)
		}
		if e, err := events.DecodeEnvelope(m.Subject, m.Header); err == nil && events.Known(e.Type) {
			f.add(ref, m)
			found = true
		}
	}
	return found, nil
}
