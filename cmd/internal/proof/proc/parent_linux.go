package proc

import (
	"os/exec"
	"syscall"
)

// killWithParent has the kernel kill the process when the thread that starts it ends.
func killWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
