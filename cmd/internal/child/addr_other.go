//go:build !unix

package child

// reserve leaves it to chance that no other process has found the same port.
func reserve(port int) (bool, error) {
	_, ours := reserved.LoadOrStore(port, true)
	return !ours, nil
}
