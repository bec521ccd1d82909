//go:build !unix

package failpoint

import (
	"fmt"
	"os"
)

const canStop = false

// signalSelf kills the process. It panics for a stop: Arm refuses one, but a trigger in a file is read later.
func signalSelf(stop bool) {
	if stop {
		panic("failpoint: stop: " + ErrUnsupported.Error())
	}
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(fmt.Sprintf("failpoint: kill own process: %v", err))
	}
	select {} // until the system has ended the process
}
