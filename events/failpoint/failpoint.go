package failpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

var (
	// ErrBadTrigger is returned when the text of a trigger cannot be parsed.
	ErrBadTrigger = errors.New("bad failpoint trigger")
	// ErrUnknownPoint is returned when a trigger names a point that [Points] does not list.
	ErrUnknownPoint = errors.New("no such failpoint")
	// ErrUnsupported is returned by [Arm] when the system has no signal that stops a process.
	ErrUnsupported = errors.New("not supported on this system")
)

// armed is nil unless Arm has enabled failpoints.
var armed atomic.Pointer[triggers]

// At marks a point. It does nothing unless failpoints are enabled.
func At(point string) {
	if t := armed.Load(); t != nil {
		t.pass("", point)
	}
}

// AtPlace marks a point that several places share, such as lanes. place is the name of the one that reaches the point.
func AtPlace(place, point string) {
	if t := armed.Load(); t != nil {
		t.pass(place, point)
	}
}

// Config selects the failpoints of this process.
type Config struct {
	Kill string // where it kills itself, as [Parse] reads it; default: nowhere
	Stop string // where it stops itself; default: nowhere
	// File is read at every point. When it exists, it contains a line for [ParseLine]. The first process that reaches the
	// trigger renames the file, appending a dot and its process id to the name, and then kills or stops itself. Default: no
	// file.
	File string
}

// Arm enables the configured failpoints for the rest of the process's life. It returns [ErrUnknownPoint], [ErrBadTrigger] or
// [ErrUnsupported]. An empty Config enables nothing.
func Arm(config Config) error {
	if config == (Config{}) {
		return nil
	}
	t := &triggers{file: config.File, signal: signalSelf}
	for _, setting := range []struct {
		text string
		stop bool
	}{{config.Kill, false}, {config.Stop, true}} {
		if setting.text == "" {
			continue
		}
		trigger, err := Parse(setting.text)
		if err != nil {
			return err
		}
		trigger.Stop = setting.stop
		t.fixed = append(t.fixed, &counter{Trigger: trigger})
	}
	if config.Stop != "" && !canStop {
		return fmt.Errorf("stop at %s: %w", config.Stop, ErrUnsupported)
	}
	armed.Store(t)
	return nil
}

// triggers are the triggers of a process.
type triggers struct {
	file   string
	signal func(stop bool)

	mu       sync.Mutex // held while the process kills or stops itself, so that no other goroutine passes a point meanwhile
	fixed    []*counter // from Kill and Stop
	fromFile counter    // from the file, as it was read last
}

// counter counts how often the point of a trigger was reached.
type counter struct {
	Trigger
	passed int
}

// pass kills or stops the process if a trigger says so.
func (t *triggers) pass(place, point string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.fixed {
		if c.counts(place, point) && c.passed == c.Pass {
			t.signal(c.Stop)
		}
	}
	if t.file != "" {
		t.checkFile(place, point)
	}
}

// counts increments the counter if the point is that of the trigger, and reports whether it is.
func (c *counter) counts(place, point string) bool {
	if !c.matches(place, point) {
		return false
	}
	c.passed++
	return true
}

// checkFile reads the file, which usually does not exist. It panics if the file is invalid, because a point has no caller that
// could handle an error, and only a faulty test writes such a file.
func (t *triggers) checkFile(place, point string) {
	data, err := os.ReadFile(t.file)
	if errors.Is(err, fs.ErrNotExist) {
		t.fromFile = counter{}
		return
	}
	if err != nil {
		panic(fmt.Sprintf("read failpoint trigger: %v", err))
	}
	trigger, err := ParseLine(string(data))
	if err != nil {
		panic(fmt.Sprintf("read failpoint trigger %s: %v", t.file, err))
	}
	if trigger != t.fromFile.Trigger {
		t.fromFile = counter{Trigger: trigger}
	}
	if !t.fromFile.counts(place, point) || t.fromFile.passed < trigger.Pass {
		return
	}
	t.fromFile = counter{}
	// Several processes may get here at once. Only one of them can rename the file.
	if os.Rename(t.file, fmt.Sprintf("%s.%d", t.file, os.Getpid())) == nil {
		t.signal(trigger.Stop)
	}
}
