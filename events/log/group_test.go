package log_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events/log"
)

// Two expectations about one subject cannot both hold in one batch: the broker would refuse all of it, and everybody else
// in it would have to be asked again.
func TestOneBatchExpectsOneThingOfASubject(t *testing.T) {
	t.Parallel()
	message := func(subject string, expects bool) *nats.Msg {
		m := nats.NewMsg(subject)
		if expects {
			m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "7")
		}
		return m
	}
	for name, c := range map[string]struct {
		first, second *nats.Msg
		fit           bool
	}{
		"OneSubject":           {message("a", true), message("a", true), false},
		"TwoSubjects":          {message("a", true), message("b", true), true},
		"WithoutAnExpectation": {message("a", true), message("a", false), true},
		"NothingExpected":      {message("a", false), message("a", false), true},
	} {
		if got := log.Fits(c.first, c.second); got != c.fit {
			t.Errorf("%s: fits %t, want %t", name, got, c.fit)
		}
	}
}
