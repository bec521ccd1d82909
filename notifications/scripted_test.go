package notifications_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// startScripted starts a mail server with scripted replies. received returns the lines that it has received.
func startScripted(t testing.TB, reply func(line string) string) (addr string, received func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var text strings.Builder
	var serving sync.WaitGroup
	t.Cleanup(func() { l.Close(); serving.Wait() })
	serve := func(conn net.Conn) {
		defer conn.Close()
		fmt.Fprint(conn, "220 test ready\r\n")
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			mu.Lock()
			text.WriteString(lines.Text() + "\n")
			mu.Unlock()
			if answer := reply(lines.Text()); answer == "hang up" {
				return
			} else if answer != "" {
				fmt.Fprint(conn, answer+"\r\n")
			}
		}
	}
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serve(conn) })
		}
	})
	return l.Addr().String(), func() string { mu.Lock(); defer mu.Unlock(); return text.String() }
}

// acceptAll returns the replies of a server that accepts everything, except for the lines in override.
func acceptAll(override map[string]string) func(string) string {
	return func(line string) string {
		for prefix, answer := range override {
			if strings.HasPrefix(line, prefix) && (prefix != "." || line == ".") {
				return answer
			}
		}
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "EHLO", "MAIL", "RCPT", "RSET", "NOOP", ".":
			return "250 fine"
		case "DATA":
			return "354 go on"
		case "QUIT":
			return "221 bye"
		}
		return ""
	}
}
