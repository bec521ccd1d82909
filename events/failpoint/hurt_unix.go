//go:build unix && !linux

package failpoint

import (
	"fmt"
	"os"
	"syscall"
)

const canStop = true

func hurt(stop bool) {
	signal := syscall.SIGKILL
	if stop {
		signal = syscall.SIGSTOP
	}
	if err := syscall.Kill(os.Getpid(), signal); err != nil {
		panic(fmt.Sprintf("send %s to itself: %v", signal, err))
	}
	if !stop {
		select {} // it may take the kernel a moment
	}
}
