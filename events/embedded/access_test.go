package embedded

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Row 74 of the fault matrix: another user of the machine reaches the broker's port, but has no token.
func TestNATSRefusesClientWithoutToken(t *testing.T) {
	t.Parallel()
	n := startNATS(t, NATSConfig{Dir: t.TempDir(), Token: "a token of the broker"})
	withoutToken := "nats://" + n.server.Load().Addr().String()
	for _, url := range []string{withoutToken, strings.Replace(withoutToken, "//", "//guess@", 1), strings.Replace(withoutToken, "//", "//user:guess@", 1)} {
		if conn, err := nats.Connect(url); !errors.Is(err, nats.ErrAuthorization) {
			conn.Close()
			t.Errorf("connect to %s: got %v, want ErrAuthorization", url, err)
		}
	}
	conn, err := nats.Connect(n.URL())
	if err != nil {
		t.Fatalf("connect to URL(): %v", err)
	}
	conn.Close()
	openStream(t, n) // in this process, with the token of URL()
}

// Row 74 of the fault matrix: another user of the machine reaches the database's port, but cannot read the key file.
func TestMongoRefusesClientWithoutKey(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key.pem")
	cfg := MongoConfig{Dir: t.TempDir(), KeyFile: key}
	m := startMongo(t, cfg)
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the key file: got %v (%v), want 0600", info.Mode(), err)
	}
	address, _, _ := strings.Cut(m.URI(), "?")
	stranger := filepath.Join(t.TempDir(), "key.pem")
	if err := makeKeyFile(stranger, "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	for name, uri := range map[string]string{
		"NoTLS": address, "NoCertificate": address + "?tls=true&tlsInsecure=true",
		"OtherCertificate": address + "?tls=true&tlsInsecure=true&tlsCertificateKeyFile=" + stranger,
		"Password":         strings.Replace(address, "//", "//user:password@", 1) + "?authMechanism=PLAIN",
	} {
		if err := ping(t, uri); err == nil {
			t.Errorf("%s: the database answered, want no answer", name)
		}
	}
	before := m.URI()
	if err := ping(t, before); err != nil {
		t.Errorf("ping with URI(): %v", err)
	}
	m.Stop()
	cfg.Addr = strings.TrimSuffix(strings.TrimPrefix(address, "mongodb://"), "/")
	startMongo(t, cfg)
	if err := ping(t, before); err != nil {
		t.Errorf("ping with the URI from before the restart: %v", err)
	}
}

func TestKeyFileIsKeptWhileItFits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.pem")
	var last []byte
	for _, step := range []struct {
		name, addr string
		before     func() error
		changes    bool
	}{
		{"Missing", "127.0.0.1:1", nil, true}, {"Restart", "127.0.0.1:1", nil, false}, {"IPv6", "[::1]:1", nil, false}, {"AllAddresses", ":1", nil, false},
		{"OtherHost", "192.0.2.1:1", nil, true}, {"OtherHostAgain", "192.0.2.1:1", nil, false},
		{"Damaged", "192.0.2.1:1", func() error { return os.WriteFile(path, []byte("damaged"), 0o600) }, true},
	} {
		if step.before != nil {
			if err := step.before(); err != nil {
				t.Fatal(err)
			}
		}
		if err := makeKeyFile(path, step.addr); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		now, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if changed := !bytes.Equal(now, last); changed != step.changes {
			t.Errorf("%s: key file changed: got %t, want %t", step.name, changed, step.changes)
		}
		last = now
	}
	pair, err := tls.LoadX509KeyPair(path, path)
	if err != nil || pair.Leaf.VerifyHostname("192.0.2.1") != nil || pair.Leaf.VerifyHostname("127.0.0.1") != nil {
		t.Errorf("certificate in the key file: got %v, want one for 192.0.2.1 and 127.0.0.1", err)
	}
}

func ping(t *testing.T, uri string) error {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	return client.Ping(t.Context(), nil)
}

// Row 73 of the fault matrix: IPv6 addresses, and those that stand for all addresses of the machine.
func TestServersListenOnAnyKindOfAddress(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"[::1]:0", "localhost:0", "0.0.0.0:0", "[::]:0", ":0"} {
		t.Run(addr, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Skipf("this machine has no such address: %v", err)
			}
			l.Close()
			conn, err := nats.Connect(startNATS(t, NATSConfig{Dir: t.TempDir(), Addr: addr, Token: "a token of the broker"}).URL())
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if err := ping(t, startMongo(t, MongoConfig{Dir: t.TempDir(), Addr: addr, KeyFile: filepath.Join(t.TempDir(), "key.pem")}).URI()); err != nil {
				t.Error(err)
			}
		})
	}
}
