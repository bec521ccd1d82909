//go:build unix

package process_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Row 79 of the fault matrix: a stream or bucket is deleted while the process runs.
func TestReadinessNamesADeletedStream(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	js := h.log.JetStream()
	for stream := range js.ListStreams(t.Context()).Info() {
		if err := js.DeleteStream(t.Context(), stream.Config.Name); err != nil {
			t.Fatal(err)
		}
		proc.WaitFor(t, "readiness names "+stream.Config.Name, time.Minute, func() bool {
			code, body := h.fetch(t, "/readyz")
			return code == http.StatusServiceUnavailable && strings.Contains(body, process.CodeStreamMissing+": stream "+stream.Config.Name)
		})
		if _, err := js.CreateStream(t.Context(), stream.Config); err != nil {
			t.Fatal(err)
		}
	}
	h.await(t, http.StatusOK, "")
}

// Row 79 of the fault matrix: the archive is empty although the log is not.
func TestReadinessReportsAnEmptyArchive(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.placeArchived(t)
	if err := h.db.Collection(archive.Collection).Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.await(t, http.StatusOK, process.CodeArchiveEmpty)
	h.place(t, "b") // the lane notices, and archives everything again
	h.await(t, http.StatusOK, "")
}

// placeArchived places an order in an empty log and waits until the archive has it.
func (h *hosted) placeArchived(t *testing.T) {
	t.Helper()
	h.place(t, "a")
	a := archive.New(h.db)
	proc.WaitFor(t, "the event is archived", time.Minute, func() bool {
		head, err := a.Head(t.Context())
		return err == nil && head.Last == 1
	})
}

func TestReadinessReportsLanes(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	set(&h.decide, eventlog.ErrContention)
	h.place(t, "a")
	h.await(t, http.StatusServiceUnavailable, process.CodeLaneWaiting)
	set(&h.decide, nil)
	h.await(t, http.StatusOK, "")

	set(&h.act, worker.OpenCircuit(errors.New("relay access denied")))
	h.place(t, "b")
	h.await(t, http.StatusOK, process.CodeCircuitOpen)
	set(&h.act, nil)
	h.await(t, http.StatusOK, "")

	if err := worker.PauseLane(t.Context(), h.log, "orders.act", time.Time{}, events.Author{Actor: "key:ops"}); err != nil {
		t.Fatal(err)
	}
	h.await(t, http.StatusOK, process.CodeLanePaused)
	if err := worker.ResumeLane(t.Context(), h.log, "orders.act", events.Author{Actor: "key:ops"}); err != nil {
		t.Fatal(err)
	}
	h.await(t, http.StatusOK, "")

	set(&h.check, embedded.ErrDiskFull)
	h.await(t, http.StatusServiceUnavailable, process.CodeDiskFull)
	set(&h.check, nil)
	h.await(t, http.StatusOK, "")

	set(&h.decide, errors.New("impossible"))
	h.place(t, "c")
	h.await(t, http.StatusOK, process.CodeDeadLetters)
	if _, body := h.fetch(t, "/readyz"); !strings.Contains(body, "open: orders 1;") {
		t.Errorf("reason: got %s, want the number of dead letters of the lane", body)
	}
}

func TestReadinessReportsBacklogs(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.placeArchived(t) // an archive that is empty for long is another condition
	h.await(t, http.StatusOK, "")
	lanes := []string{"orders.projection", archive.Lane}
	for _, lane := range lanes {
		if err := worker.PauseLane(t.Context(), h.log, lane, time.Time{}, events.Author{Actor: "key:ops"}); err != nil {
			t.Fatal(err)
		}
	}
	h.await(t, http.StatusOK, process.CodeLanePaused)
	for n := range 11 {
		ids := make([]string, eventlog.MaxBatch)
		for i := range ids {
			ids[i] = fmt.Sprintf("o-%d-%d", n, i)
		}
		if err := placeOrder(t.Context(), h.log, ids...); err != nil {
			t.Fatal(err)
		}
	}
	h.await(t, http.StatusOK, strings.Join([]string{process.CodeArchiveBehind, process.CodeLanePaused, process.CodeProjectionBehind}, " "))
	for _, lane := range lanes {
		if err := worker.ResumeLane(t.Context(), h.log, lane, events.Author{Actor: "key:ops"}); err != nil {
			t.Fatal(err)
		}
	}
	h.await(t, http.StatusOK, "")
}

// Row 23 of the fault matrix, for readiness: the database is down.
func TestReadinessReportsTheDatabase(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	h.mongo.Stop()
	h.await(t, http.StatusOK, process.CodeDatabaseUnavailable)
}

// A broker that does not answer makes the process not ready, and readiness itself answers at once.
func TestReadinessReportsASilentBroker(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	h.proxy.Hold()
	h.expect(t, http.StatusServiceUnavailable, process.CodeBrokerUnavailable)
	h.proxy.Release()
	h.await(t, http.StatusOK, "")
	h.proxy.Refuse()
	h.expect(t, http.StatusServiceUnavailable, process.CodeBrokerUnavailable)
	h.proxy.Release()
	h.await(t, http.StatusOK, "")
}

// Row 66 of the fault matrix, for a broker that refuses for another reason: its stream has reached a limit.
func TestReadinessReportsRefusedAppends(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	config := eventlog.Streams(1)[0]
	limit := func(messages int64) {
		t.Helper()
		config.MaxMsgs = messages
		if _, err := h.log.JetStream().UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	h.place(t, "a")
	limit(1)
	if err := placeOrder(t.Context(), h.own, "b"); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Fatalf("append to a full stream: got %v, want ErrUnavailable", err)
	}
	h.await(t, http.StatusServiceUnavailable, process.CodeNotStored)
	limit(-1)
	if err := placeOrder(t.Context(), h.own, "b"); err != nil {
		t.Fatal(err)
	}
	h.await(t, http.StatusOK, "")
}

// The log has an event of a newer release.
func TestReadinessReportsANewerRelease(t *testing.T) {
	t.Parallel()
	h := startHost(t)
	h.await(t, http.StatusOK, "")
	e, err := events.Encode(events.Event{ID: "future", Source: "test", Time: time.Now(), Subject: events.PrefixOrder + "a", Revision: 1, Payload: events.OrderExpired{}})
	if err != nil {
		t.Fatal(err)
	}
	e.Header.Set(events.HeaderType, "orders.teleported")
	e.Header.Set(events.HeaderTopology, "99")
	if _, err := h.log.JetStream().PublishMsg(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	h.expect(t, http.StatusServiceUnavailable, process.CodeNewerRelease)
}

// The log lacks an event that the archive lacks too.
func TestReadinessReportsADamagedLog(t *testing.T) {
	t.Parallel()
	h := startHost(t, func(h *hosted) {
		stream := logtest.Replaceable(t, h.log)
		if err := placeOrder(t.Context(), h.log, "a", "b", "c"); err != nil {
			t.Fatal(err)
		}
		if err := stream.DeleteMsg(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
	})
	h.expect(t, http.StatusServiceUnavailable, process.CodeLogDamaged)
}

// runbookRow is a row of the table of conditions.
var runbookRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (degraded|not ready) \\|")

// Row 79 of the fault matrix: the table in the runbook has exactly the conditions that a process reports, each with its effect.
func TestTheRunbookHasEveryCondition(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../deploy/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range runbookRow.FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = row[2]
	}
	_, metrics := startHost(t).fetch(t, "/metrics")
	reported := map[string]string{}
	for _, found := range anyMetric.FindAllStringSubmatch(metrics, -1) {
		reported[found[1]] = strings.ReplaceAll(found[2], "_", " ")
	}
	if diff := cmp.Diff(reported, documented); diff != "" || len(reported) == 0 {
		t.Errorf("conditions (-reported +in the runbook):\n%s", diff)
	}
}

var anyMetric = regexp.MustCompile(`(?m)^tillstream_condition\{code="([a-z_]+)",effect="([a-z_]+)"\} `)
