package failpoint

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
)

const canStop = true

// hurt sends the signal to the thread that is at the moment, so that it does not run on while the kernel stops others.
func hurt(stop bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signal := syscall.SIGKILL
	if stop {
		signal = syscall.SIGSTOP
	}
	if err := syscall.Tgkill(os.Getpid(), syscall.Gettid(), signal); err != nil {
		panic(fmt.Sprintf("send %s to itself: %v", signal, err))
	}
}
