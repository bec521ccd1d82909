package processtest

// Raced reports whether the programs are built with the race detector, as they are when the test is.
func Raced() bool { return raced }
