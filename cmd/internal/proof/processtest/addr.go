package processtest

import (
	"testing"

	"tillstream/cmd/internal/proof/child"
)

// FreeAddr finds an address for a server that will be killed and started again on it.
func FreeAddr(t testing.TB) string {
	t.Helper()
	addr, err := child.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
