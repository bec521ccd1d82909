package console

import (
	"net/http"

	"tillstream/events/api"
)

func (c *console) letterRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/deadletters", c.view(api.ReadAll, c.showLetters))
	mux.Handle("GET /ops/deadletters/{number}", c.view(api.ReadAll, c.showLetter))
	mux.Handle("GET /ops/deadletters/dryrun", c.view(api.ReadAll, c.showLetterDryRun))
	mux.Handle("GET /ops/deadletters/redrives/{id}", c.view(api.ReadAll, c.showRedrive))
	mux.Handle("POST /ops/deadletters/redrive", c.act(api.SettleDeadLetters, c.redriveLetters))
	mux.Handle("POST /ops/deadletters/discard", c.act(api.SettleDeadLetters, c.discardLetters))
	mux.Handle("GET /ops/audit", c.view(api.ReadAll, c.showAudit))
	c.replayRoutes(mux)
}
