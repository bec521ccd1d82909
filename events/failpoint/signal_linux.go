package failpoint

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
)

const canStop = true

// signalSelf kills or stops the process. It sends the signal to its own thread, so that this thread does not run on while the
// kernel delivers the signal to another one.
func signalSelf(stop bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signal := syscall.SIGKILL
	if stop {
		signal = syscall.SIGSTOP
	}
	if err := syscall.Tgkill(os.Getpid(), syscall.Gettid(), signal); err != nil {
		panic(fmt.Sprintf("failpoint: send %s to own process: %v", signal, err))
	}
}
