//go:build !unix

package child

import "errors"

// Suspend returns [errors.ErrUnsupported]: there are no such signals here.
func (c *Child) Suspend() error { return errors.ErrUnsupported }

// Resume returns [errors.ErrUnsupported].
func (c *Child) Resume() error { return errors.ErrUnsupported }
