//go:build unix && !linux

package failpoint

import (
	"fmt"
	"os"
	"syscall"
)

const canStop = true

// signalSelf kills or stops the process.
func signalSelf(stop bool) {
	signal := syscall.SIGKILL
	if stop {
		signal = syscall.SIGSTOP
	}
	if err := syscall.Kill(os.Getpid(), signal); err != nil {
		panic(fmt.Sprintf("failpoint: send %s to own process: %v", signal, err))
	}
	if !stop {
		select {} // until the kernel has delivered the signal
	}
}
