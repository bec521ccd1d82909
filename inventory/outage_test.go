package inventory_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/inventory"
)

// The broker stops and restarts on the same files. Meanwhile the catalogue has the old items, and afterwards it has new ones
// without a restart of the process.
func TestTheCatalogueIsServedWhileTheLogIsUnavailable(t *testing.T) {
	t.Parallel()
	config := embedded.NATSConfig{Dir: t.TempDir(), Addr: "127.0.0.1:0"}
	server, err := embedded.StartNATS(config)
	if err != nil {
		t.Fatal(err)
	}
	s := openOn(t, server, func(c *eventlog.Config) { c.Patience = time.Second })
	s.stock(t, "A", 5)
	shown := func(sku string) bool { return s.request(t, "GET", "/api/items/"+sku, "").Code == 200 }
	s.wait(t, "A is shown", func() bool { return shown("A") })
	config.Addr = strings.TrimPrefix(server.URL(), "nats://")
	server.Stop()
	if !shown("A") {
		t.Error("item A while the log is unavailable: want status 200")
	}
	w := s.request(t, "PUT", "/ops/api/items/B", mug, "Authorization", "Bearer "+staffToken)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("listing while the log is unavailable: got %d %v, want 503 with Retry-After", w.Code, w.Header())
	}
	if server, err = embedded.StartNATS(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	s.wait(t, "listing works again", func() bool {
		return s.request(t, "PUT", "/ops/api/items/B", mug, "Authorization", "Bearer "+staffToken).Code == 200
	})
	s.wait(t, "B is shown", func() bool { return shown("B") })
	s.wait(t, "inventory is ready", s.ready)
}

func TestNotReadyBeforeTheCatalogueIsLoaded(t *testing.T) {
	t.Parallel()
	service, err := inventory.New(inventory.Config{Log: logtest.Open(t), Access: staffAccess{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Ready(); !errors.Is(err, inventory.ErrLoading) {
		t.Errorf("Ready: got %v, want ErrLoading", err)
	}
}
