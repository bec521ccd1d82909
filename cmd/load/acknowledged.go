package main

import (
	"fmt"
	"os"
	"sync"
)

// acknowledged remembers the orders that the shop has promised. The file is written order by order and not synced: it
// has to outlive this process and the shop, not the machine.
type acknowledged struct {
	mu   sync.Mutex
	list []string
	file *os.File // nil: nobody wants one
}

func openAcknowledged(path string) (*acknowledged, error) {
	if path == "" {
		return &acknowledged{}, nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the list of acknowledged orders: %w", err)
	}
	return &acknowledged{file: file}, nil
}

func (a *acknowledged) add(orderID string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, orderID)
	if a.file == nil {
		return nil
	}
	if _, err := a.file.WriteString(orderID + "\n"); err != nil {
		return fmt.Errorf("note acknowledged order %s: %w", orderID, err)
	}
	return nil
}

func (a *acknowledged) close() error {
	if a.file == nil {
		return nil
	}
	if err := a.file.Close(); err != nil {
		return fmt.Errorf("close the list of acknowledged orders: %w", err)
	}
	return nil
}
