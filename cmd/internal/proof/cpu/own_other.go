//go:build !unix

package cpu

import "time"

// ownTime returns 0, unknown: the report then omits the load generator.
func ownTime() time.Duration { return 0 }
