//go:build race

package proc

// Raced reports whether the test, and every program that [MustBuild] builds, has the race detector.
const Raced = true
