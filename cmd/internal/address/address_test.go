package address_test

import (
	"errors"
	"strings"
	"testing"

	"tillstream/cmd/internal/address"
)

func TestRedactedHidesSecrets(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"":                          "",
		"127.0.0.1:4222":            "127.0.0.1:4222",
		"nats://127.0.0.1:4222":     "nats://127.0.0.1:4222",
		"nats://shop:secret@a:4222": "nats://shop:xxxxx@a:4222",
		"shop:secret@a:4222":        "shop:xxxxx@a:4222",
		"nats://secret@a:4222":      "nats://xxxxx@a:4222",
		"nats://shop:secret@a:4222, nats://shop:secret@b:4222": "nats://shop:xxxxx@a:4222,nats://shop:xxxxx@b:4222",
		"mongodb://shop:secret@a:1,b:2/t?replicaSet=shop":      "mongodb://shop:xxxxx@a:1,b:2/t?replicaSet=shop",
		"nats://shop:secret%@a:4222":                           "(unreadable address)",
	} {
		if got := address.Redacted(given); got != want {
			t.Errorf("Redacted(%q): got %q, want %q", given, got, want)
		}
	}
}

func TestCheckRefusesUnreadableAddress(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"127.0.0.1:4222", "nats://shop:secret@a:4222,nats://shop:secret@b:4222", "tls://a"} {
		if err := address.Check(good); err != nil {
			t.Errorf("Check(%q): got %v, want nil", good, err)
		}
	}
	err := address.Check("nats://a:4222,nats://shop:secret%@b:4222")
	if !errors.Is(err, address.ErrUnreadable) || strings.Contains(err.Error(), "secret%") {
		t.Errorf("got %v, want ErrUnreadable without the password", err)
	}
}
