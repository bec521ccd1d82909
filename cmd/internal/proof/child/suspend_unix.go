//go:build unix

package child

import "syscall"

// Suspend has the process stand still, connections and all, until Resume.
func (c *Child) Suspend() error { return c.Signal(syscall.SIGSTOP) }

// Resume has a suspended process go on with what it had in hand.
func (c *Child) Resume() error { return c.Signal(syscall.SIGCONT) }
