// Command gen writes the AsyncAPI document of the shop's events.
package main

import (
	"flag"
	"fmt"
	"os"

	"tillstream/cmd/internal/asyncapi"
)

func main() {
	source := flag.String("events", "events", "folder of package events")
	out := flag.String("out", "events/asyncapi.json", "file to write")
	flag.Parse()
	document, err := asyncapi.Document(*source)
	if err == nil {
		err = os.WriteFile(*out, document, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
