//go:build !race

package processtest

// Raced reports whether the test and the programs that it builds run under the race detector.
const Raced = false
