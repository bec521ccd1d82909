//go:build race

package processtest

const raced = true
