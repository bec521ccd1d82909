//go:build !unix

package failpoint

import (
	"fmt"
	"os"
)

const canStop = false

// hurt ends the process without a good-bye. Standing still is refused when a trap is laid, but one in a file is only
// seen when it is met.
func hurt(stop bool) {
	if stop {
		panic(ErrUnsupported.Error())
	}
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(fmt.Sprintf("kill itself: %v", err))
	}
	select {} // it may take the system a moment
}
