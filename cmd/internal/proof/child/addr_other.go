//go:build !unix

package child

import "net"

// reserve leaves it to chance that no other process has found the same port.
func reserve(port int) (bool, error) {
	_, ours := reserved.LoadOrStore(port, true)
	return !ours, nil
}

// nobodyAnswers listens for a moment: a refused connection takes seconds here.
func nobodyAnswers(addr string) (bool, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return false, nil //nolint:nilerr // taken
	}
	return true, listener.Close()
}
