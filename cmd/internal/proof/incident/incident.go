package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/proof/fleet"
	"tillstream/events/replay"
)

// ErrUnexpected is returned when a shop does not behave in an incident as it promises.
var ErrUnexpected = errors.New("the shop did not do what it promises")

// patience is how long a fact may take that an incident waits for, on a machine that is busy.
const patience = 2 * time.Minute

// Config describes the shop of an incident.
type Config struct {
	Shop     *fleet.Fleet
	Dir      string                         // for the address file of ops
	Programs string                         // directory of the shop's programs and of ops
	Out      io.Writer                      // receives the story
	Sales    func() (confirmed, failed int) // purchases that have ended
	Waiting  func() int64                   // purchases that have begun and not ended
}

// Incident is the story of one shop.
type Incident struct {
	Config
	story

	file   string // the address file of ops
	reader *replay.Reader
	close  func()
	from   uint64 // last sequence before the story
}

// Open begins the story of a shop that sells. The caller calls [Incident.Close].
func Open(ctx context.Context, config Config) (*Incident, error) {
	i := &Incident{Config: config, story: story{out: config.Out, began: time.Now()}, file: filepath.Join(config.Dir, "shop.json")}
	data, err := json.Marshal(config.Shop.Shop)
	if err != nil {
		return nil, fmt.Errorf("encode the addresses of the shop: %w", err)
	}
	if err := os.WriteFile(i.file, data, 0o600); err != nil {
		return nil, fmt.Errorf("write the addresses of the shop: %w", err)
	}
	if i.reader, i.close, err = config.Shop.Shop.Log(ctx); err != nil {
		return nil, err
	}
	if i.from, err = i.reader.Last(ctx); err != nil {
		i.close()
		return nil, err
	}
	return i, nil
}

// Close disconnects from the shop.
func (i *Incident) Close() { i.close() }

// sells waits until a number of further purchases is confirmed.
func (i *Incident) sells(ctx context.Context, more int) error {
	before, _ := i.Sales()
	return i.until(ctx, fmt.Sprintf("%d more orders are confirmed", more), func(context.Context) (bool, error) {
		confirmed, _ := i.Sales()
		return confirmed >= before+more, nil
	})
}

// until polls until a condition holds. It returns [ErrUnexpected] with the condition when that takes too long.
func (i *Incident) until(ctx context.Context, what string, holds func(context.Context) (bool, error)) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, err := holds(waiting)
		if ok {
			return nil
		}
		if err != nil && waiting.Err() == nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		select {
		case <-ticker.C:
		case <-waiting.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w: not within %s: %s", ErrUnexpected, patience, what)
		}
	}
}

// grows waits until there are as many as wanted, for as long as there are more from time to time.
func (i *Incident) grows(ctx context.Context, what string, count func(context.Context) (have, want int, err error)) error {
	for {
		before, want, err := count(ctx)
		if err != nil || before >= want {
			return err
		}
		err = i.until(ctx, fmt.Sprintf("more than %d of %d %s are there", before, want, what), func(ctx context.Context) (bool, error) {
			have, _, err := count(ctx)
			return have > before, err
		})
		if err != nil {
			return err
		}
	}
}

// SellsBefore waits until the shop has sold to a few shoppers: an incident begins in a shop that works.
func (i *Incident) SellsBefore(ctx context.Context) error {
	if err := i.sells(ctx, 10); err != nil {
		return err
	}
	confirmed, _ := i.Sales()
	return i.step("The shop sells: %s confirmed.", output.Count(confirmed, "order"))
}
