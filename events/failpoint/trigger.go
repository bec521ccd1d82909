package failpoint

import (
	"fmt"
	"strconv"
	"strings"
)

// Trigger selects when a process kills or stops itself.
type Trigger struct {
	Point string
	Place string // the place of the point; "" for any
	Pass  int    // when the point is reached for this time, counted from 1
	Stop  bool   // stop the process instead of killing it
}

// Parse parses "point", "point:n", "point@place" or "point@place:n". It returns [ErrUnknownPoint] or [ErrBadTrigger].
func Parse(text string) (Trigger, error) {
	t := Trigger{Pass: 1}
	name, count, counted := strings.Cut(text, ":")
	if counted {
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return Trigger{}, fmt.Errorf("%w: %q: want a number from 1 after the colon", ErrBadTrigger, text)
		}
		t.Pass = n
	}
	t.Point, t.Place, _ = strings.Cut(name, "@")
	point, ok := known(t.Point)
	if !ok {
		return Trigger{}, fmt.Errorf("%w: %q", ErrUnknownPoint, t.Point)
	}
	if t.Place != "" && !point.Placed {
		return Trigger{}, fmt.Errorf("%w: %q: %s has no places", ErrBadTrigger, text, t.Point)
	}
	return t, nil
}

// The verbs of a trigger in a file.
const (
	verbKill = "kill"
	verbStop = "stop"
)

// ParseLine parses the content of a trigger file: "kill" or "stop", a space, and a text for [Parse]. It returns the errors of
// Parse.
func ParseLine(line string) (Trigger, error) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if verb != verbKill && verb != verbStop {
		return Trigger{}, fmt.Errorf("%w: %q: want kill or stop and a point", ErrBadTrigger, line)
	}
	t, err := Parse(rest)
	t.Stop = verb == verbStop
	return t, err
}

// Site returns "point" or "point@place".
func (t Trigger) Site() string {
	if t.Place == "" {
		return t.Point
	}
	return t.Point + "@" + t.Place
}

// String formats the trigger for [ParseLine].
func (t Trigger) String() string {
	verb := verbKill
	if t.Stop {
		verb = verbStop
	}
	return fmt.Sprintf("%s %s:%d", verb, t.Site(), t.Pass)
}

// matches reports whether the trigger is for a point and place.
func (t Trigger) matches(place, point string) bool {
	return t.Point == point && (t.Place == "" || t.Place == place)
}
