package sandbox

import (
	"container/heap"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
)

// clock is the sandbox's time: that of Config.Now, moved forward by Advance. Everything that happens by itself, such as the end
// of an authorization, is a task in its heap.
type clock struct {
	moved atomic.Int64 // nanoseconds
	next  atomic.Int64 // Unix seconds of the first task
	moves sync.Mutex   // held while tasks are done, so each is done once and in order

	tasks taskHeap // guarded by the server's lock
}

// taskKind is something that happens by itself to an object at a time. It looks at the object's state first, because the object
// may have changed since the task was scheduled, and because a task is repeated when the process was killed.
type taskKind uint8

const (
	taskExpire taskKind = iota
	taskPayout
	taskDispute
	taskJudge
	taskRefund
	taskDebit
	taskKinds // how many there are
)

// taskNames are the kinds as they are named in the journal.
var taskNames = [taskKinds]string{taskExpire: "expire", taskPayout: "payout", taskDispute: "dispute", taskJudge: "judge", taskRefund: "refund", taskDebit: "debit"}

// do does a task to the object with an index.
func (t *tx) do(kind taskKind, index int) {
	switch kind {
	case taskExpire:
		t.expire(index)
	case taskPayout:
		t.payOut(index)
	case taskDispute:
		t.disputeCharge(index)
	case taskJudge:
		t.judge(index)
	case taskRefund:
		t.concludeRefund(index)
	case taskDebit:
		t.concludeDebit(index)
	}
}

// indexOf returns the index of a task's object.
func (s *Server) indexOf(kind taskKind, id string) (int, bool) {
	switch kind {
	case taskExpire, taskDebit:
		return s.intents.index(id)
	case taskPayout:
		return s.balances.index(id)
	case taskDispute:
		return s.charges.index(id)
	case taskJudge:
		return s.disputes.index(id)
	case taskRefund:
		return s.refunds.index(id)
	}
	return 0, false
}

// task is small, because every authorization has one for a week.
type task struct {
	at    uint32 // Unix seconds
	index uint32 // of the object
	kind  taskKind
}

// taskNote is the note of a task in the journal.
type taskNote struct {
	At int64  `json:"at"`
	Do string `json:"do"`
}

// clockNote is the note of a move of the clock, and of tasks done.
type clockNote struct {
	Moved int64 `json:"moved"`
	Done  int64 `json:"done"` // tasks up to this Unix time are done
}

// now returns the sandbox's time.
func (s *Server) now() time.Time { return s.config.Now().Add(time.Duration(s.clock.moved.Load())) }

// schedule records that something happens to the object at a time. The object must be in the transaction or older.
func (t *tx) schedule(kind taskKind, id string, at int64) {
	t.line(lineTask, id, taskNote{At: at, Do: taskNames[kind]}, nil)
	t.installs = append(t.installs, func(int64) { t.server.addTask(kind, id, at) })
}

func (s *Server) addTask(kind taskKind, id string, at int64) bool {
	index, ok := s.indexOf(kind, id)
	if ok {
		heap.Push(&s.clock.tasks, task{at: uint32(at), index: uint32(index), kind: kind})
		s.noteNextTask()
	}
	return ok
}

func (s *Server) noteNextTask() {
	next := int64(math.MaxInt64)
	if len(s.clock.tasks) > 0 {
		next = int64(s.clock.tasks[0].at)
	}
	s.clock.next.Store(next)
}

// Advance moves the clock forward, does what falls due on the way at its time, and returns the new time. It returns an error for a
// negative duration, and when the journal cannot be written; the clock then stands where it had come to.
func (s *Server) Advance(d time.Duration) (time.Time, error) {
	if d < 0 {
		return s.now(), fmt.Errorf("advance the sandbox's clock by %s: it only moves forward", d)
	}
	s.clock.moves.Lock()
	defer s.clock.moves.Unlock()
	target := s.now().Add(d)
	if err := s.doTasks(target, true); err != nil {
		return s.now(), fmt.Errorf("advance the sandbox's clock: %w", err)
	}
	s.clock.moved.Add(max(0, int64(target.Sub(s.now()))))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.noteClock(target.Unix()); err != nil {
		return s.now(), fmt.Errorf("advance the sandbox's clock: %w", err)
	}
	return s.now(), nil
}

// settle does the tasks that are due now.
func (s *Server) settle() {
	if s.clock.next.Load() > s.now().Unix() {
		return
	}
	s.clock.moves.Lock()
	defer s.clock.moves.Unlock()
	err := s.doTasks(s.now(), false)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		err = s.noteClock(s.now().Unix())
	}
	if err != nil {
		s.config.Logger.Error("do what is due in the sandbox", "error", err)
	}
}

// settleEverySecond does tasks as time passes, until ctx ends.
func (s *Server) settleEverySecond(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.settle()
		case <-ctx.Done():
			return
		}
	}
}

// doTasks does the tasks that are due at a time, each in its own transaction. With move, the clock shows each one's time meanwhile.
func (s *Server) doTasks(until time.Time, move bool) error {
	for {
		done, err := s.doTask(until, move)
		if done || err != nil {
			return err
		}
	}
}

func (s *Server) doTask(until time.Time, move bool) (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clock.tasks) == 0 || int64(s.clock.tasks[0].at) > until.Unix() {
		return true, nil
	}
	due := heap.Pop(&s.clock.tasks).(task)
	if at := time.Unix(int64(due.at), 0); move && at.After(s.now()) {
		s.clock.moved.Add(int64(at.Sub(s.now())))
	}
	t := s.begin(&call{})
	t.do(due.kind, int(due.index))
	if err := t.commit(); err != nil {
		heap.Push(&s.clock.tasks, due)
		return true, err
	}
	s.noteNextTask()
	return false, nil
}

// noteClock records the clock, and that the tasks up to a time are done.
func (s *Server) noteClock(done int64) error {
	if len(s.clock.tasks) > 0 {
		done = min(done, int64(s.clock.tasks[0].at)-1)
	}
	note, err := json.Marshal(clockNote{Moved: s.clock.moved.Load(), Done: done})
	if err != nil {
		return err
	}
	buf, _, err := appendLine(nil, lineHead{Kind: lineClock, Note: note}, nil)
	if err != nil {
		return err
	}
	_, err = s.journal.Append(append(buf, endLine...))
	return err
}

func (s *Server) restoreTask(l line) error {
	var note taskNote
	if err := jsonv2.Unmarshal(l.note, &note); err != nil {
		return err
	}
	kind := slices.Index(taskNames[:], note.Do)
	if kind < 0 || !s.addTask(taskKind(kind), string(l.id), note.At) {
		return fmt.Errorf("unknown task %q or its object is not in the journal", note.Do)
	}
	return nil
}

func (s *Server) restoreClock(l line) error {
	var note clockNote
	if err := jsonv2.Unmarshal(l.note, &note); err != nil {
		return err
	}
	s.clock.moved.Store(note.Moved)
	for len(s.clock.tasks) > 0 && int64(s.clock.tasks[0].at) <= note.Done {
		heap.Pop(&s.clock.tasks)
	}
	s.noteNextTask()
	return nil
}

// taskHeap has the task that is due first at index 0.
type taskHeap []task

// Len implements heap.Interface.
func (h taskHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h taskHeap) Less(a, b int) bool { return h[a].at < h[b].at }

// Swap implements heap.Interface.
func (h taskHeap) Swap(a, b int) { h[a], h[b] = h[b], h[a] }

// Push implements heap.Interface.
func (h *taskHeap) Push(t any) { *h = append(*h, t.(task)) }

// Pop implements heap.Interface.
func (h *taskHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// moveClock answers POST /sandbox/clock: {"advance":"168h"} → {"now":"2024-01-08T12:00:00Z"}.
func (s *Server) moveClock(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Advance Duration `json:"advance"`
	}
	if err := readControl(w, r, &wanted); err != nil {
		s.refuseControl(w, http.StatusBadRequest, err)
		return
	}
	if wanted.Advance < 0 {
		s.refuseControl(w, http.StatusBadRequest, fmt.Errorf("advance %s: the clock only moves forward", time.Duration(wanted.Advance)))
		return
	}
	now, err := s.Advance(time.Duration(wanted.Advance))
	if err != nil {
		s.refuseControl(w, http.StatusInternalServerError, err)
		return
	}
	s.sendControl(w, struct {
		Now time.Time `json:"now"`
	}{now.UTC()})
}
