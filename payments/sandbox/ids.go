package sandbox

import (
	"crypto/rand"
	"strconv"
	"strings"
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// randomText returns n letters and digits that cannot be guessed. The slight
// preference of a modulus for early letters is of no use to a guesser.
func randomText(n int) string {
	raw := make([]byte, n)
	rand.Read(raw) // never fails, by its documentation
	for i, b := range raw {
		raw[i] = alphabet[int(b)%len(alphabet)]
	}
	return string(raw)
}

// newID mints an id as Stripe's look: a prefix for the kind, then 24 letters.
func newID(prefix string) string {
	return prefix + "_3" + randomText(23)
}

// Event ids carry their place in the event log, so that the log needs no index
// of ids: evt_1, ten digits, fourteen letters.
const (
	eventPrefix = "evt_1"
	eventDigits = 10
)

func newEventID(place int) string {
	digits := strconv.Itoa(place)
	return eventPrefix + strings.Repeat("0", max(0, eventDigits-len(digits))) + digits + randomText(14)
}

// eventPlace reads the place back; whether such an event exists, and under
// exactly this id, is for the caller to check.
func eventPlace(id string) (int, bool) {
	rest, ok := strings.CutPrefix(id, eventPrefix)
	if !ok || len(rest) < eventDigits {
		return 0, false
	}
	place, err := strconv.ParseUint(rest[:eventDigits], 10, 32)
	return int(place), err == nil
}
