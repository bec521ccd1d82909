package failpoint

import (
	"fmt"
	"strconv"
	"strings"
)

// Trigger is where a process is to be hurt, and how.
type Trigger struct {
	Point string
	Place string // where the point is placed; "" anywhere
	Pass  int    // which time it is passed, from 1
	Stop  bool   // stand still, instead of dying
}

// Parse reads "point", "point:n", "point@place" or "point@place:n". It returns [ErrUnknownPoint] or [ErrBadTrigger].
func Parse(text string) (Trigger, error) {
	t := Trigger{Pass: 1}
	name, count, counted := strings.Cut(text, ":")
	if counted {
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return Trigger{}, fmt.Errorf("%w: %q: what follows the colon is to be a number from 1", ErrBadTrigger, text)
		}
		t.Pass = n
	}
	t.Point, t.Place, _ = strings.Cut(name, "@")
	point, ok := known(t.Point)
	if !ok {
		return Trigger{}, fmt.Errorf("%w: %q", ErrUnknownPoint, t.Point)
	}
	if t.Place != "" && !point.Placed {
		return Trigger{}, fmt.Errorf("%w: %q: %s is passed in one place only", ErrBadTrigger, text, t.Point)
	}
	return t, nil
}

// The words of a trap in a file.
const (
	verbKill = "kill"
	verbStop = "stop"
)

// ParseLine reads a trap as a file has it: "kill" or "stop", a space, and what [Parse] reads. The errors are the same.
func ParseLine(line string) (Trigger, error) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if verb != verbKill && verb != verbStop {
		return Trigger{}, fmt.Errorf("%w: %q: want kill or stop, and a point", ErrBadTrigger, line)
	}
	t, err := Parse(rest)
	t.Stop = verb == verbStop
	return t, err
}

// Site is the trap's moment, without what is to happen there: "point" or "point@place".
func (t Trigger) Site() string {
	if t.Place == "" {
		return t.Point
	}
	return t.Point + "@" + t.Place
}

// String writes the trap as [ParseLine] reads it.
func (t Trigger) String() string {
	verb := verbKill
	if t.Stop {
		verb = verbStop
	}
	return fmt.Sprintf("%s %s:%d", verb, t.Site(), t.Pass)
}

// meets reports whether the trap is about a moment that is being passed.
func (t Trigger) matches(place, point string) bool {
	return t.Point == point && (t.Place == "" || t.Place == place)
}
