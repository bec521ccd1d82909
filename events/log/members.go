package log

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// Process is a process of the shop that runs.
type Process struct {
	ID       string    `json:"id"`
	Source   string    `json:"source"`
	Topology int       `json:"topology"` // that it knows
	Since    time.Time `json:"since"`
}

// TopologyState is what the processes of a shop have agreed on.
type TopologyState struct {
	Applied int `json:"applied"` // the newest topology that the broker was set up for
	Written int `json:"written"` // the newest of which an event may stand in the log: no process that knows less may start

	revision uint64
}

// members is the part of a process in the agreement about the topology.
//
//	a process starts:  announce itself ─► read Written ─► go on, unless it knows less
//	a newer one wants to write what only newer ones know:
//	                   all that run know it? ─► Written = its topology ─► all that run know it still? ─► write
//
// A process announces itself before it reads, and Written is set before the second look, so that of an older process that
// starts and a newer one that begins to write, one sees the other. An announcement runs out like a lease: a process that was
// suspended meanwhile meets what it does not understand, appends nothing any more, and ends at its next announcement.
type members struct {
	bucket  jetstream.KeyValue
	self    Process
	allowed atomic.Int64  // events up to this topology may be written
	wanted  chan struct{} // holds one: something newer is to be written
	stop    context.CancelFunc
	running sync.WaitGroup
	gone    chan struct{} // closed when this process must end
	err     error         // why
}

// announcedFor is for how many lengths of a lease an announcement counts, by the broker's clock. It is renewed three times in one.
// A broker that was killed may have old ones back, which it never takes away (nats-server 2.15.2).
const announcedFor = 2

// lookAgain is how often a process looks at most whether those are gone that do not know what it wants to write.
const lookAgain = 500 * time.Millisecond

const (
	keyState     = "shop"
	processesAre = "process."
)

func topologySubject(key string) string { return "$KV." + bucketTopology + "." + key }

// join announces this process, and returns [events.ErrNewer] when it knows too little. A tool only looks.
func (l *core) join(ctx context.Context) error {
	m := &l.members
	m.wanted, m.gone, m.stop = make(chan struct{}, 1), make(chan struct{}), func() {}
	m.allowed.Store(1)
	m.self = Process{ID: uuid.NewString(), Source: l.config.Source, Topology: l.config.Topology.Version, Since: l.Now().UTC()}
	if !l.config.MustExist {
		if err := l.announce(ctx); err != nil {
			return err
		}
	}
	state, err := l.TopologyState(ctx)
	if err == nil {
		err = l.knowsEnough(state)
	}
	if err != nil {
		l.leave(ctx)
		return err
	}
	if state.Written >= m.self.Topology {
		l.allow(ctx)
	}
	if l.config.MustExist {
		return nil
	}
	keeping, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.running.Go(func() { l.keepAnnounced(keeping) })
	return nil
}

// knowsEnough returns [events.ErrNewer] when events may stand in the log that this program does not understand.
func (l *core) knowsEnough(state TopologyState) error {
	if knows := l.config.Topology.Version; state.Written > knows {
		return fmt.Errorf("%w: the shop has events of topology %d, this program knows %d; run the release that wrote them, or one that is newer",
			events.ErrNewer, state.Written, knows)
	}
	return nil
}

// announce says that this process runs and what it knows, for as long as a lease lasts.
func (l *core) announce(ctx context.Context) error {
	data, err := json.Marshal(l.members.self)
	if err != nil {
		return fmt.Errorf("announce this process: %w", err)
	}
	err = l.retryFor(ctx, openPatience, func(ctx context.Context) error {
		_, err := l.js.PublishMsg(ctx, &nats.Msg{Subject: topologySubject(processesAre + l.members.self.ID), Data: data},
			jetstream.WithMsgTTL(l.LeaseTTL()), jetstream.WithRetryAttempts(0))
		return err
	})
	if err != nil {
		return fmt.Errorf("announce this process: %w", unavailable(ctx, err))
	}
	return nil
}

// leave takes the announcement back.
func (l *core) leave(ctx context.Context) {
	l.members.stop()
	l.members.running.Wait()
	if l.config.MustExist || !l.conn.IsConnected() {
		return
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := l.members.bucket.Purge(leaving, processesAre+l.members.self.ID, jetstream.PurgeTTL(leaseMarker)); err != nil {
		l.config.Logger.Debug("take back the announcement of this process", "error", err) // it runs out by itself
	}
}

// keepAnnounced announces the process again and again until ctx ends, and looks what may be written.
func (l *core) keepAnnounced(ctx context.Context) {
	ticker := time.NewTicker(l.LeaseTTL() / 3)
	defer ticker.Stop()
	var looked time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.members.wanted:
			if time.Since(looked) >= lookAgain { // what is wanted is wanted with every decision
				l.allow(ctx)
				looked = time.Now()
			}
			continue
		case <-ticker.C:
		}
		if err := l.stayOrEnd(ctx); err != nil && ctx.Err() == nil {
			l.config.Logger.Warn("announce this process", "error", err)
		}
	}
}

// stayOrEnd announces the process again, in that order: see [members]. A process that knows too little ends.
func (l *core) stayOrEnd(ctx context.Context) error {
	if err := l.announce(ctx); err != nil {
		return err
	}
	state, err := l.TopologyState(ctx)
	if err != nil {
		return err
	}
	if err := l.knowsEnough(state); err != nil && l.members.err == nil {
		l.members.err = err
		close(l.members.gone)
	}
	if state.Written >= l.members.self.Topology && l.members.allowed.Load() < int64(l.members.self.Topology) {
		l.allow(ctx)
	}
	return nil
}

// TopologyState returns what the processes have agreed on. A shop that is new begins with what this program knows.
func (l *core) TopologyState(ctx context.Context) (state TopologyState, err error) {
	var msg *jetstream.RawStreamMsg
	err = l.retryFor(ctx, openPatience, func(ctx context.Context) error {
		stream, err := l.topologyOnLeader(ctx)
		if err == nil {
			msg, err = stream.GetLastMsgForSubject(ctx, topologySubject(keyState))
		}
		return err
	})
	if isNotFound(err) && !l.config.MustExist {
		state = TopologyState{Applied: l.config.Topology.Version, Written: l.config.Topology.Version}
		if err = l.putState(ctx, &state); errors.Is(err, errConflict) {
			return l.TopologyState(ctx)
		}
		return state, err
	}
	if err != nil {
		return state, fmt.Errorf("read the topology of the shop: %w", unavailable(ctx, err))
	}
	if err := json.Unmarshal(msg.Data, &state); err != nil {
		return state, fmt.Errorf("read the topology of the shop: %w", err)
	}
	state.revision = msg.Sequence
	return state, nil
}

// topologyOnLeader returns the bucket's stream, for reading from its leader: a copy may lag, and would hide that another process
// has announced itself, or has begun to write.
func (l *core) topologyOnLeader(ctx context.Context) (jetstream.Stream, error) {
	stream, err := l.js.Stream(ctx, "KV_"+bucketTopology)
	if err == nil {
		stream.CachedInfo().Config.AllowDirect = false // by this the client chooses whom to ask
	}
	return stream, err
}

// putState writes what was agreed on, unless another process was faster: then it returns errConflict.
func (l *core) putState(ctx context.Context, state *TopologyState) error {
	data, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("write the topology of the shop: %w", err)
	}
	revision, err := l.members.bucket.Update(ctx, keyState, data, state.revision)
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(classify(err), errConflict) {
		return fmt.Errorf("write the topology of the shop: %w", errConflict)
	}
	if err != nil {
		return fmt.Errorf("write the topology of the shop: %w", unavailable(ctx, err))
	}
	state.revision = revision
	return nil
}

// Processes returns the processes that run, by source.
func (l *core) Processes(ctx context.Context) (all []Process, err error) {
	err = l.retryFor(ctx, openPatience, func(ctx context.Context) error {
		all = nil
		stream, err := l.topologyOnLeader(ctx)
		if err != nil {
			return err
		}
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(topologySubject(processesAre+"*")))
		if err != nil {
			return err
		}
		for subject := range info.State.Subjects {
			msg, err := stream.GetLastMsgForSubject(ctx, subject)
			if isNotFound(err) || err == nil && (len(msg.Data) == 0 || info.TimeStamp.Sub(msg.Time) > announcedFor*l.LeaseTTL()) {
				continue // it has left
			}
			if err != nil {
				return err
			}
			var p Process
			if err := json.Unmarshal(msg.Data, &p); err != nil {
				return fmt.Errorf("read %s: %w", subject, err)
			}
			all = append(all, p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the processes of the shop: %w", unavailable(ctx, err))
	}
	slices.SortFunc(all, func(a, b Process) int { return strings.Compare(a.Source+a.ID, b.Source+b.ID) })
	return all, nil
}

// allow looks whether everything that this program knows may be written, and notes that it is going to be.
func (l *core) allow(ctx context.Context) {
	m := &l.members
	if m.allowed.Load() >= int64(m.self.Topology) {
		return
	}
	err := l.allKnow(ctx)
	if err == nil {
		err = l.noteWritten(ctx)
	}
	if err == nil {
		err = l.allKnow(ctx)
	}
	if err != nil {
		l.config.Logger.Info("events of this release cannot be written yet", "topology", m.self.Topology, "reason", err)
		return
	}
	m.allowed.Store(int64(m.self.Topology))
	l.config.Logger.Info("events of this release may be written", "topology", m.self.Topology)
}

// allKnow returns [ErrUpgradeInProgress], naming a process, when one that runs knows less than this one.
func (l *core) allKnow(ctx context.Context) error {
	all, err := l.Processes(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.Topology < l.members.self.Topology {
			return fmt.Errorf("%w: %s %s, since %s, knows topology %d", ErrUpgradeInProgress, p.Source, p.ID, p.Since.Format(time.RFC3339), p.Topology)
		}
	}
	return nil
}

func (l *core) noteWritten(ctx context.Context) error {
	for {
		state, err := l.TopologyState(ctx)
		if err != nil || state.Written >= l.members.self.Topology {
			return err
		}
		state.Written = l.members.self.Topology
		if err := l.putState(ctx, &state); !errors.Is(err, errConflict) {
			return err
		}
	}
}

// MayWrite reports whether every process that runs knows an event. A decision that has an older way of saying the same asks
// it; one that has none appends, and waits with [ErrUpgradeInProgress].
func (tx *Tx) MayWrite(fact events.Payload) bool { return tx.log.mayWrite(fact.EventType()) }

func (l *core) mayWrite(eventType string) bool {
	if int64(events.Since(eventType)) <= l.members.allowed.Load() {
		return true
	}
	select {
	case l.members.wanted <- struct{}{}:
	default:
	}
	return false
}
