//go:build !linux

package proc

import "os/exec"

// killWithParent does nothing: only Linux kills a process with its parent.
func killWithParent(*exec.Cmd) {}
