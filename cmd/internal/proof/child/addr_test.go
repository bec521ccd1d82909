package child

import (
	"sync"
	"testing"
)

func TestNoAddressIsHandedOutTwice(t *testing.T) {
	t.Parallel()
	var seen sync.Map
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 25 {
				addr, err := FreeAddr()
				if err != nil {
					t.Error(err)
					return
				}
				if _, twice := seen.LoadOrStore(addr, true); twice {
					t.Errorf("%s was handed out twice", addr)
				}
			}
		})
	}
	group.Wait()
}
