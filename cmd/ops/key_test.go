package main

import (
	"os"

	"tillstream/cmd/internal/staff"
	"tillstream/events"
	"tillstream/events/api"
)

// testKey is the API key of the command lines of the tests. A broker accepts it after admit.
const testKey = "tsk_OF_THE_TESTS"

// setTestKey makes testKey the key of every command line of the tests.
func setTestKey() {
	if err := os.Setenv("OPS_KEY", testKey); err != nil {
		panic(err)
	}
}

// admit makes testKey valid. It appends one event.
func (b *broker) admit() {
	b.t.Helper()
	l := b.log.ForDomain("ops")
	service, err := staff.New(staff.Config{Directory: staff.NewDirectory(l), Log: l})
	if err == nil {
		_, err = service.KeepKey(b.t.Context(), staff.NewAPIKey{Name: "ops", Permissions: api.Permissions()}, testKey, events.Author{Reason: "a test"})
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
