package process_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"tillstream/cmd/internal/process"
	"tillstream/events/embedded"
	"tillstream/inventory"
)

// startInventory runs an inventory worker whose servers and API listen on a host, and returns the API's address.
func startInventory(t *testing.T, host string) (origin string) {
	t.Helper()
	free := net.JoinHostPort(host, "0")
	broker, err := embedded.StartNATS(embedded.NATSConfig{Dir: t.TempDir(), Addr: free, Token: "a token of the broker"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Stop)
	database, err := embedded.StartMongo(embedded.MongoConfig{Dir: t.TempDir(), Addr: free})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Stop)
	settings := process.Settings{HTTP: free, NATS: broker.URL(), MongoDB: database.URI(), PublicURL: "https://shop.example", AllowedHosts: []string{"till.example"},
		TokenSecret: "a secret of order tokens", Replicas: 1}
	ctx, cancel := context.WithCancel(context.Background())
	output, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := process.Run(ctx, "inventory", settings, slog.New(slog.DiscardHandler), out, func(env process.Env) (process.Domain, error) {
			return inventory.New(inventory.Config{Access: env.Access, Log: env.Log, Logger: env.Logger})
		})
		_ = out.CloseWithError(io.EOF) // never fails
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	_, origin, found := strings.Cut(strings.TrimSpace(line), "listens on ")
	if err != nil || !found {
		t.Fatalf("first line = %q (%v), want the address", line, err)
	}
	return origin
}

// Row 73 of the fault matrix: a worker on loopback answers to its own names only; one that listens on all addresses answers to
// health checks, which know its IP address, and to other processes, which know a name without a dot. All of it on IPv6 too.
func TestWorkerAnswersToItsOwnNames(t *testing.T) {
	t.Parallel()
	for host, onLoopback := range map[string]bool{"127.0.0.1": true, "::1": true, "0.0.0.0": false} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			probe, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Skipf("this machine has no such address: %v", err)
			}
			if err := probe.Close(); err != nil {
				t.Fatal(err)
			}
			origin := startInventory(t, host)
			for name, want := range map[string]bool{"": true, "localhost": true, "shop.example": true, "till.example": true, "evil.example": false,
				"10.1.2.3:8081": !onLoopback, "inventory:8081": !onLoopback} {
				if status := get(t, origin+"/healthz", name, ""); (status == http.StatusOK) != want {
					t.Errorf("host %q: status %d, want it served: %t", name, status, want)
				}
			}
			if status := get(t, origin+"/ops/api/stock/MUG", "", "guess"); status != http.StatusUnauthorized {
				t.Errorf("staff route with a guessed key: status %d, want 401", status)
			}
		})
	}
}

func get(t *testing.T, url, host, token string) (status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}
