package main

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"

	"tillstream/events/embedded"
)

// TestSecretsAreMadeByTheShopThatOpens: of two shops that are started at once in a new directory one is turned away, and
// has made nothing there. The other one would go on with its own secrets, and after a restart with those of the first:
// nobody's order link would open any more.
func TestSecretsAreMadeByTheShopThatOpens(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	first, err := embedded.LockDir(config.Data)
	if err != nil {
		t.Fatal(err)
	}
	err = Run(t.Context(), config, slog.New(slog.DiscardHandler), &doorbell{rung: make(chan struct{})})
	if !errors.Is(err, embedded.ErrDirInUse) || strings.Contains(err.Error(), "invalid") {
		t.Errorf("the second shop ends with %q, want ErrDirInUse and nothing else", err)
	}
	if _, err := os.Stat(config.dir("secrets.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it has made secrets: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openShop(t, config)
}

// TestTheAnnouncementTellsNoPassword: it is printed into terminals and journals. Tools read the ready file instead, which
// is its owner's alone.
func TestTheAnnouncementTellsNoPassword(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	Ready{NATS: "nats://shop:hidden@a:4222,nats://shop:hidden@b:4222", MongoDB: "mongodb://shop:hidden@c:27017/t"}.print(&said, "data")
	if text := said.String(); strings.Contains(text, "hidden") || !strings.Contains(text, "b:4222") || !strings.Contains(text, "c:27017/t") {
		t.Errorf("it says\n%s", text)
	}
}
