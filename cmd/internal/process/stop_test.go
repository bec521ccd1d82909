//go:build unix

package process_test

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/proc"
)

// Row 59 of the fault matrix, before there is any load: a process that is stopped while it waits for the broker ends without
// an error.
func TestAWorkerIsStoppedWhileItWaitsForItsBroker(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and sends nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if err := silent.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(proc.MustBuild(t, "tillstream/cmd/inventory"), "inventory")
	env := fleet.NewSettings().Env("nats://"+silent.Addr().String(), "mongodb://127.0.0.1:1/shop")
	worker := proc.MustStart(t, proc.Command{Name: "inventory", Path: path, Env: append(env, "HTTP_ADDR=127.0.0.1:0")})
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proc.Check(t, worker.Stop(30*time.Second))
}
