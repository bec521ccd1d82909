package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/cmd/internal/proof/disktest"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/seed"
	"tillstream/events/embedded"
	"tillstream/events/log/logtest"
)

// Rows 14 and 66 of the fault matrix: the broker's disk is full. The shop answers 503 with Retry-After, stores no part of a refused
// order, and is not ready. When there is space again it sells again by itself.
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	testFullDisk(t, 16<<20, func(k *killedShop, small string) error {
		return errors.Join(os.MkdirAll(k.data, 0o755), os.Symlink(small, filepath.Join(k.data, "nats")))
	})
}

// Rows 14 and 66 of the fault matrix: the disk of the broker, the database, the mailbox and the sandbox is full.
func TestDiskOfTheWholeShopIsFull(t *testing.T) {
	t.Parallel()
	testFullDisk(t, 64<<20, func(k *killedShop, small string) error { return os.Symlink(small, k.data) })
}

// testFullDisk fills a small disk on which the shop, or a part of it, has its data.
func testFullDisk(t *testing.T, size int, use func(k *killedShop, small string) error) {
	t.Helper()
	if !insideWithDisks(t) {
		return
	}
	k := newKilledShop(t)
	small := disktest.Small(t, size)
	if err := use(k, small); err != nil {
		t.Fatal(err)
	}
	k.open(t)
	sku := seed.Demo()[0].SKU
	acknowledged := k.buySome(t, 10)

	free := disktest.Fill(t, small)
	accepted, refused := k.placeUntilRefused(t, sku)
	k.expectNotReady(t) // already now: an order is refused 5 s after the first failed append
	free()
	k.awaitReady(t)
	answer, id := k.place(t, refused, sku)
	if answer.StatusCode != http.StatusCreated {
		t.Errorf("refused order after there was space: got status %d, want 201", answer.StatusCode)
	}
	accepted = append(accepted, id)
	acknowledged = append(acknowledged, k.buySome(t, 10)...)

	list := filepath.Join(t.TempDir(), "during")
	run := k.load(t, list, 200)
	proc.WaitFor(t, "20 orders are acknowledged", time.Minute, func() bool { return len(linesOf(t, list)) >= 20 })
	free = disktest.Fill(t, small) // while orders are paid and mailed
	k.awaitNotReady(t)
	free()
	if err := run.result(t); err != nil {
		t.Errorf("purchases during which the disk was full: %v", err)
	}
	acknowledged = append(acknowledged, linesOf(t, list)...)
	k.awaitReady(t)

	free = disktest.Fill(t, small) // of a shop without orders
	k.awaitNotReady(t)
	free()
	k.awaitReady(t)
	acknowledged = append(acknowledged, k.buySome(t, 10)...)
	report := k.check(t, append(acknowledged, accepted...))
	if confirmed := report.Counts.ByStatus["confirmed"]; confirmed != len(acknowledged) {
		t.Errorf("got %d confirmed orders, want %d", confirmed, len(acknowledged))
	}
	proc.Check(t, k.shop.Stop(30*time.Second))
}

// Row 66 of the fault matrix: a shop that is started on a full disk ends with a message that says so.
func TestShopIsStartedOnAFullDisk(t *testing.T) {
	t.Parallel()
	if !insideWithDisks(t) {
		return
	}
	k := newKilledShop(t)
	small := disktest.Small(t, 64<<20)
	if err := os.Symlink(small, k.data); err != nil {
		t.Fatal(err)
	}
	k.open(t)
	acknowledged := k.buySome(t, 10)
	proc.Check(t, k.shop.Kill())
	free := disktest.Fill(t, small)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, k.program, k.args...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !regexp.MustCompile(`free space on the disk of \S+: the disk is full`).Match(out) {
		t.Errorf("start on a full disk: got %v and output %s, want exit status 1 and the remedy", err, out)
	}
	free()
	k.open(t)
	k.verify(t, append(acknowledged, k.buySome(t, 10)...))
	proc.Check(t, k.shop.Stop(30*time.Second))
}

// Row 66 of the fault matrix: the store reaches the limit that was computed from little free space. It goes on when there is more.
func TestStoreLimitIsRaisedWhenThereIsSpace(t *testing.T) {
	t.Parallel()
	if !insideWithDisks(t) {
		return
	}
	small := disktest.Small(t, 16<<20)
	free := disktest.Fill(t, small)
	if err := os.Truncate(filepath.Join(small, "filler"), 12<<20); err != nil {
		t.Fatal(err)
	}
	broker, err := embedded.StartNATS(embedded.NATSConfig{Dir: filepath.Join(small, "nats")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Stop)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- broker.Watch(ctx) }()
	t.Cleanup(func() { cancel(); proc.Check(t, <-ended) })
	js := logtest.JetStream(t, logtest.Connect(t, broker))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Discard: jetstream.DiscardNew}); err != nil {
		t.Fatal(err)
	}
	publish := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := js.Publish(ctx, "s", make([]byte, 100<<10))
		return err
	}
	stored := 0
	proc.WaitFor(t, "the broker reports the full disk", time.Minute, func() bool {
		if publish() == nil {
			stored++
		}
		return errors.Is(broker.Problem(), embedded.ErrDiskFull)
	})
	free()
	proc.WaitFor(t, "the broker stores messages again", time.Minute, func() bool { return broker.Problem() == nil && publish() == nil })
	if s, err := js.Stream(t.Context(), "S"); err != nil || s.CachedInfo().State.Msgs <= uint64(stored) {
		t.Errorf("stream: got %v, want more than the %d acknowledged messages", err, stored)
	}
}

// Row 66 of the fault matrix, for a disk that fails in another way: the shop ends with an error, so that its supervisor acts.
func TestShopEndsWhenItsDiskFails(t *testing.T) {
	t.Parallel()
	if !insideWithDisks(t) {
		return
	}
	s := newPoweredShop(t, rand.New(rand.NewPCG(1, 0)))
	s.open(t)
	acknowledged := s.buySome(t, 10)
	s.drive.Cut(t, func() bool { return false }) // every later write fails
	if err := s.shop.Wait(2 * time.Minute); err == nil || errors.Is(err, proc.ErrStillRunning) {
		t.Fatalf("shop on a broken disk: got %v, want it to end with an error", err)
	}
	s.drive.Restore(t)
	s.useDrive(t)
	s.open(t)
	s.verify(t, append(acknowledged, s.buySome(t, 10)...))
	proc.Check(t, s.shop.Stop(30*time.Second))
}

// readiness is an answer of /readyz.
type readiness struct {
	code int
	body string
}

func (k *killedShop) readiness(t *testing.T) readiness {
	t.Helper()
	answer, err := http.Get("http://" + k.http + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return readiness{answer.StatusCode, string(body)}
}

// expectNotReady expects that the shop is not ready because of the full disk.
func (k *killedShop) expectNotReady(t *testing.T) {
	t.Helper()
	if got := k.readiness(t); got.code != http.StatusServiceUnavailable || !strings.Contains(got.body, "disk_full") {
		t.Errorf("readiness with a full disk: got %d %s, want 503 with disk_full", got.code, got.body)
	}
}

func (k *killedShop) awaitNotReady(t *testing.T) {
	t.Helper()
	proc.WaitFor(t, "the shop is not ready", time.Minute, func() bool { return k.readiness(t).code != http.StatusOK })
}

// awaitReady waits until the shop is ready, without a restart.
func (k *killedShop) awaitReady(t *testing.T) {
	t.Helper()
	proc.WaitFor(t, "the shop is ready again by itself", time.Minute, func() bool { return k.readiness(t).body == `{"status":"ready"}`+"\n" })
}

// buySome buys without faults, and returns the acknowledged orders.
func (k *killedShop) buySome(t *testing.T, orders int) (acknowledged []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "acknowledged")
	if err := k.load(t, file, orders).result(t); err != nil {
		t.Errorf("load: %v", err)
	}
	return linesOf(t, file)
}

// placeUntilRefused places unpaid orders until one is refused, and returns those that were accepted and the key of the refused
// one. Some may be accepted first, in the last free blocks.
func (k *killedShop) placeUntilRefused(t *testing.T, sku string) (accepted []string, refused string) {
	t.Helper()
	for n := range 1000 {
		key := fmt.Sprintf("late-%d", n)
		answer, id := k.place(t, key, sku)
		if answer.StatusCode == http.StatusCreated {
			accepted = append(accepted, id)
			continue
		}
		if after := answer.Header.Get("Retry-After"); answer.StatusCode != http.StatusServiceUnavailable || after == "" {
			t.Errorf("got status %d with Retry-After %q, want 503 with a time", answer.StatusCode, after)
		}
		t.Logf("%d orders were accepted before one was refused", len(accepted))
		return accepted, key
	}
	t.Fatal("got 1000 orders, want one refused")
	return nil, ""
}

// place sends one order in one attempt.
func (k *killedShop) place(t *testing.T, key, sku string) (answer *http.Response, id string) {
	t.Helper()
	body := fmt.Sprintf(`{"email":"%s@example.com","name":"Ada","shipping_address":{"line1":"1 Market Place","city":"Anytown",`+
		`"postal_code":"10000","country":"GB"},"lines":[{"sku":%q,"quantity":1}]}`, key, sku)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+k.http+"/api/orders", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", "a key of the test: "+key)
	if answer, err = http.DefaultClient.Do(request); err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var order struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&order); err != nil {
		t.Fatal(err)
	}
	return answer, order.ID
}
