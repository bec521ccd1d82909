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

// Process is a running process of the shop.
type Process struct {
	ID       string    `json:"id"`
	Source   string    `json:"source"`
	Topology int       `json:"topology"` // the version of the topology that the process knows
	Since    time.Time `json:"since"`
}

// TopologyState is the topology that the processes of a shop have agreed on.
type TopologyState struct {
	Applied int `json:"applied"` // the newest topology that was applied to the broker
	Written int `json:"written"` // the newest topology with events in the log: no process with an older topology may start

	revision uint64
}

// members is a process's part in the agreement on the topology.
//
//	a process starts:              announce itself ─► read Written ─► continue, unless Written is newer
//	a newer process, before it writes events of its topology:
//	                               all running processes know it? ─► set Written ─► all still know it? ─► write
//
// A process announces itself before it reads Written, and Written is set before the second check. So when an older process
// starts while a newer one begins to write, at least one of them detects the other. An announcement expires like a lease. A
// process that was suspended meanwhile then reads an event that it cannot read, appends nothing more, and ends at its next
// announcement.
type members struct {
	bucket  jetstream.KeyValue
	self    Process
	allowed atomic.Int64  // events up to this topology may be written
	wanted  chan struct{} // buffered, one element: a newer event is to be written
	stop    context.CancelFunc
	running sync.WaitGroup
	gone    chan struct{} // closed when this process must end
	err     error         // why it must end
}

// announcedFor is how many lease durations an announcement is valid, by the broker's clock. It is renewed three times in each.
// The age is checked because a broker that was killed may restore expired announcements and never remove them (nats-server 2.15.2).
const announcedFor = 2

// allowInterval is the shortest time between two checks whether all running processes know this program's topology.
const allowInterval = 500 * time.Millisecond

const (
	keyState      = "shop"
	prefixProcess = "process."
)

func topologySubject(key string) string { return "$KV." + bucketTopology + "." + key }

// join announces this process, and returns [events.ErrNewer] when its topology is too old. A tool does not announce itself.
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
		err = l.checkWritten(state)
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

// checkWritten returns [events.ErrNewer] when the log may hold events that this program cannot read.
func (l *core) checkWritten(state TopologyState) error {
	if known := l.config.Topology.Version; state.Written > known {
		return fmt.Errorf("%w: the shop has events of topology %d, this program knows %d; run the release that wrote them, or a newer one",
			events.ErrNewer, state.Written, known)
	}
	return nil
}

// announce publishes that this process runs and which topology it knows. The announcement expires like a lease.
func (l *core) announce(ctx context.Context) error {
	err := l.retryFor(ctx, openPatience, l.announceOnce)
	if err != nil {
		return fmt.Errorf("announce process: %w", unavailable(ctx, err))
	}
	return nil
}

func (l *core) announceOnce(ctx context.Context) error {
	data, err := json.Marshal(l.members.self)
	if err == nil {
		_, err = l.js.PublishMsg(ctx, &nats.Msg{Subject: topologySubject(prefixProcess + l.members.self.ID), Data: data},
			jetstream.WithMsgTTL(l.LeaseTTL()), jetstream.WithRetryAttempts(0))
	}
	return err
}

// leave withdraws the announcement.
func (l *core) leave(ctx context.Context) {
	l.members.stop()
	l.members.running.Wait()
	if l.config.MustExist || !l.conn.IsConnected() {
		return
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := l.members.bucket.Purge(leaving, prefixProcess+l.members.self.ID, jetstream.PurgeTTL(leaseMarker)); err != nil {
		l.config.Logger.Debug("process announcement not withdrawn", "error", err) // the announcement expires by itself
	}
}

// keepAnnounced renews the announcement until ctx ends, and checks which events may be written.
func (l *core) keepAnnounced(ctx context.Context) {
	ticker := time.NewTicker(l.LeaseTTL() / 3)
	defer ticker.Stop()
	var checked time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.members.wanted:
			if time.Since(checked) >= allowInterval { // every decision that waits sends to wanted
				l.allow(ctx)
				checked = time.Now()
			}
			continue
		case <-ticker.C:
		}
		if err := l.renewAnnouncement(ctx); err != nil && ctx.Err() == nil {
			l.config.Logger.Warn("process announcement not renewed", "error", err)
		}
	}
}

// renewAnnouncement announces the process and then reads Written: see [members]. A process whose topology is too old ends.
func (l *core) renewAnnouncement(ctx context.Context) error {
	if err := l.announce(ctx); err != nil {
		return err
	}
	state, err := l.TopologyState(ctx)
	if err != nil {
		return err
	}
	if err := l.checkWritten(state); err != nil && l.members.err == nil {
		l.members.err = err
		close(l.members.gone)
	}
	if state.Written >= l.members.self.Topology && l.members.allowed.Load() < int64(l.members.self.Topology) {
		l.allow(ctx)
	}
	return nil
}

// TopologyState returns the agreed topology. A new shop begins with the topology of this program.
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
		return state, fmt.Errorf("read topology state: %w", unavailable(ctx, err))
	}
	if err := json.Unmarshal(msg.Data, &state); err != nil {
		return state, fmt.Errorf("read topology state: %w", err)
	}
	state.revision = msg.Sequence
	return state, nil
}

// topologyOnLeader returns the bucket's stream for reading from its leader. A replica may lag, and would hide that another
// process has announced itself or has begun to write.
func (l *core) topologyOnLeader(ctx context.Context) (jetstream.Stream, error) {
	stream, err := l.js.Stream(ctx, "KV_"+bucketTopology)
	if err == nil {
		stream.CachedInfo().Config.AllowDirect = false // makes the client read from the leader
	}
	return stream, err
}

// putState writes the agreed topology. It returns errConflict when another process has written it since.
func (l *core) putState(ctx context.Context, state *TopologyState) error {
	data, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("write topology state: %w", err)
	}
	revision, err := l.members.bucket.Update(ctx, keyState, data, state.revision)
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(classify(err), errConflict) {
		return fmt.Errorf("write topology state: %w", errConflict)
	}
	if err != nil {
		return fmt.Errorf("write topology state: %w", unavailable(ctx, err))
	}
	state.revision = revision
	return nil
}

// Processes returns the running processes, sorted by source.
func (l *core) Processes(ctx context.Context) (all []Process, err error) {
	err = l.retryFor(ctx, openPatience, func(ctx context.Context) error {
		all = nil
		stream, err := l.topologyOnLeader(ctx)
		if err != nil {
			return err
		}
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(topologySubject(prefixProcess+"*")))
		if err != nil {
			return err
		}
		for subject := range info.State.Subjects {
			msg, err := stream.GetLastMsgForSubject(ctx, subject)
			if isNotFound(err) || err == nil && (len(msg.Data) == 0 || info.TimeStamp.Sub(msg.Time) > announcedFor*l.LeaseTTL()) {
				continue // the process has left
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
		return nil, fmt.Errorf("list processes: %w", unavailable(ctx, err))
	}
	slices.SortFunc(all, func(a, b Process) int { return strings.Compare(a.Source+a.ID, b.Source+b.ID) })
	return all, nil
}

// allow checks whether all running processes know this program's topology. If so, it sets Written and allows all events.
func (l *core) allow(ctx context.Context) {
	m := &l.members
	if m.allowed.Load() >= int64(m.self.Topology) {
		return
	}
	err := l.allKnow(ctx)
	if err == nil {
		err = l.setWritten(ctx)
	}
	if err == nil {
		err = l.allKnow(ctx)
	}
	if err != nil {
		l.config.Logger.Info("new event types not allowed yet", "topology", m.self.Topology, "reason", err)
		return
	}
	m.allowed.Store(int64(m.self.Topology))
	l.config.Logger.Info("new event types allowed", "topology", m.self.Topology)
}

// allKnow returns [ErrUpgradeInProgress], with the name of a process, when a running process has an older topology than this one.
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

func (l *core) setWritten(ctx context.Context) error {
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

// MayWrite reports whether every running process knows a type of event. A decision that can append an older type instead
// calls MayWrite; any other decision appends, and is refused with [ErrUpgradeInProgress] until all processes know the type.
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
