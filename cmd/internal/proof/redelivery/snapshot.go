package redelivery

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/entities"
	"tillstream/events/project"
	"tillstream/events/replay"
	"tillstream/orders"
	"tillstream/payments"
)

// part is an entity, a dead letter or a document: its name and the hash of its content.
type part struct{ name, subject, hash string }

// Shop is where a snapshot is taken.
type Shop struct {
	Log   *replay.Reader
	DB    *mongo.Database // nil: no projections
	Books bool            // its Stripe lists what it has booked, so every capture is followed by a payments.balance_recorded
}

// Snapshot is a shop at the end of its log.
type Snapshot struct {
	Shop
	at replay.Moment

	correlations map[string]bool // of the events up to the moment
	entities     []part
	documents    []part
}

// settleTime is how long the lanes may take to handle what is in the log, and the reconciler to record what Stripe has booked.
const settleTime = 3 * time.Minute

// Take waits until every lane has handled the whole log, and reads the shop.
func Take(ctx context.Context, shop Shop) (*Snapshot, error) {
	s := &Snapshot{Shop: shop, correlations: map[string]bool{}}
	var err error
	if s.at, err = shop.settled(ctx); err != nil {
		return nil, err
	}
	err = shop.Log.Each(ctx, replay.Range{To: s.at.Sequence}, func(m replay.Message) error {
		e, err := m.Event()
		s.correlations[e.CorrelationID] = true
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, s.read(ctx)
}

// Last returns the last sequence of the snapshot.
func (s *Snapshot) Last() uint64 { return s.at.Sequence }

// settled waits until every lane is at the end of the log and has no open act, and every capture is booked, and returns that end.
func (s Shop) settled(ctx context.Context) (replay.Moment, error) {
	waiting, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for busy := []string(nil); ; {
		before, err := s.Log.Last(ctx)
		if err == nil {
			busy, err = busyLanes(ctx, s.Log)
		}
		if err == nil && len(busy) == 0 && s.Books {
			busy, err = unbooked(ctx, s.Log)
		}
		if err != nil {
			return replay.Moment{}, err
		}
		if after, err := s.Log.Last(ctx); err != nil || after == before && len(busy) == 0 {
			moment, atErr := s.Log.At(ctx, replay.Moment{Sequence: before})
			return moment, cmp.Or(err, atErr)
		}
		select {
		case <-ticker.C:
		case <-waiting.Done():
			return replay.Moment{}, fmt.Errorf("wait until the lanes have handled %d events: %s: %w", before, strings.Join(busy, ", "), waiting.Err())
		}
	}
}

// busyLanes names the lanes that have not handled the whole log.
func busyLanes(ctx context.Context, reader *replay.Reader) (busy []string, err error) {
	lanes, err := reader.Lanes(ctx)
	for _, l := range lanes {
		if l.Lag > 0 || len(l.Open) > 0 { // the position of a lane of timers is that of the oldest deadline
			busy = append(busy, fmt.Sprintf("%s is behind by %d, with %d open acts", l.Name, l.Lag, len(l.Open)))
		}
	}
	return busy, err
}

// read reads the states of all entities, the dead letters and the documents at the moment.
func (s *Snapshot) read(ctx context.Context) error {
	temporary, err := os.MkdirTemp("", "tillstream-states-")
	if err != nil {
		return fmt.Errorf("directory for the states: %w", err)
	}
	defer func() { _ = os.RemoveAll(temporary) }() // of no use any more
	export := replay.Export{At: s.at, Dir: filepath.Join(temporary, "states"), Kinds: entities.Kinds(), Log: s.Log}
	manifest, err := export.Run(ctx)
	if err != nil {
		return err
	}
	for _, file := range slices.Sorted(maps.Keys(manifest.Files)) {
		found, err := readStates(export.Dir, file)
		if err != nil {
			return fmt.Errorf("read the states of %s: %w", file, err)
		}
		s.entities = append(s.entities, found...)
	}
	s.documents, err = documents(ctx, s.DB, s.at.Sequence)
	return err
}

// readStates reads one file of an export.
func readStates(dir, name string) (parts []part, err error) {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var entity struct {
			Subject string `json:"subject"`
			Number  uint64 `json:"number"` // of a dead letter
		}
		if err := json.Unmarshal(lines.Bytes(), &entity); err != nil {
			return nil, err
		}
		parts = append(parts, part{fmt.Sprintf("%s %s %d", name, entity.Subject, entity.Number), entity.Subject, hash(lines.Bytes())})
	}
	return parts, lines.Err()
}

// documents reads the documents of all projections whose last event is at or before a sequence.
func documents(ctx context.Context, db *mongo.Database, last uint64) (parts []part, err error) {
	if db == nil {
		return nil, nil
	}
	for _, p := range slices.Concat(orders.Projections(), payments.Projections(slog.New(slog.DiscardHandler))) {
		for _, c := range p.Collections {
			cursor, err := db.Collection(c.Name).Find(ctx, bson.D{{Key: "seq", Value: bson.D{{Key: "$lte", Value: last}}}})
			if err != nil {
				return nil, fmt.Errorf("read the documents of %s: %w", c.Name, err)
			}
			for cursor.Next(ctx) {
				var d project.Document
				if err := cursor.Decode(&d); err != nil {
					return nil, fmt.Errorf("read the documents of %s: %w", c.Name, err)
				}
				parts = append(parts, part{c.Name + " " + d.ID, "", hash(cursor.Current)})
			}
			if err := cursor.Err(); err != nil {
				return nil, fmt.Errorf("read the documents of %s: %w", c.Name, err)
			}
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.name, b.name) })
	return parts, nil
}

func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// hashOf returns one hash of all parts whose subject is not left out, and their number.
func hashOf(parts []part, leftOut map[string]bool) (sum string, n int) {
	h := sha256.New()
	for _, p := range parts {
		if !leftOut[p.subject] {
			fmt.Fprintln(h, p.name, p.hash)
			n++
		}
	}
	return hex.EncodeToString(h.Sum(nil)), n
}
