package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
)

// statusCommand is ops status, and ops alone.
type statusCommand struct {
	target.Target `embed:""`
	JSON          bool `name:"json" help:"Write JSON: {end, problems: [{code, text, command}], lanes, audit}."`
}

// Help is shown by ops status --help.
func (statusCommand) Help() string {
	return `Shows first what is wrong now, each with the command that shows more or helps: open dead letters by cause; lanes that are paused, behind by more than a minute, without a process or with an open circuit; events that the log lacks; log and archive that differ or were not compared for two days; why a process is not ready, if its address answers; and disputes that wait for an answer. Then all commands in short. ops alone does the same.

ops verify checks every promise, which takes longer.

Examples:
  ops
  ops status --json

Exit codes: 0 nothing is wrong; 1 something is; 2 the shop was not reached, and only the commands are shown.`
}

// Run shows what is wrong now, and all commands.
func (c *statusCommand) Run(ctx context.Context, out *terminal, app *kong.Kong) error {
	overview, err := c.read(ctx)
	if err != nil {
		if !c.JSON {
			err = errors.Join(writeCommands(app, out), err)
		}
		return err
	}
	return out.answer(c.JSON, overview, func() error {
		return errors.Join(writeOverview(overview, out), out.printf(""), writeCommands(app, out))
	}, len(overview.Problems) > 0)
}

func (c *statusCommand) read(ctx context.Context) (replay.Overview, error) {
	shop, reader, stop, err := openShop(ctx, c.Target)
	if err != nil {
		return replay.Overview{}, err
	}
	defer stop()
	overview, err := reader.Overview(ctx, time.Now())
	if err != nil {
		return replay.Overview{}, err
	}
	overview.Problems = append(overview.Problems, notReady(ctx, shop, overview.Problems)...)
	overview.Problems = append(overview.Problems, unanswered(ctx, c.Target)...)
	return overview, nil
}

// readyTimeout is how long a process may take to say whether it is ready. It answers from memory.
const readyTimeout = 2 * time.Second

// notReady returns the conditions that a process reports, without those that are known from the log. A process whose address is not
// known, or which has no /readyz there, is passed over.
func notReady(ctx context.Context, shop target.Shop, known []replay.Problem) []replay.Problem {
	origin := cmp.Or(shop.Ops, shop.Storefront)
	if origin == "" {
		return nil
	}
	var answer struct {
		Status string   `json:"status"`
		Codes  []string `json:"codes"`
		Reason string   `json:"reason"`
	}
	status, err := getReady(ctx, origin, shop.OpsKey, &answer)
	switch {
	case status == http.StatusNotFound:
		return nil
	case err != nil:
		return []replay.Problem{{Code: "unreachable", Text: err.Error(), Command: "ops lag"}}
	case len(answer.Codes) == 0 || knownAll(known, answer.Codes):
		return nil
	}
	text := fmt.Sprintf("%s is %s: %s", origin, answer.Status, cmp.Or(answer.Reason, strings.Join(answer.Codes, ", ")))
	return []replay.Problem{{Code: answer.Codes[0], Text: text, Command: "see deploy/runbook.md"}}
}

func getReady(ctx context.Context, origin, token string, answer any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+"/readyz", nil)
	if err != nil {
		return 0, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return response.StatusCode, json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(answer)
}

func knownAll(known []replay.Problem, codes []string) bool {
	found := map[string]bool{}
	for _, p := range known {
		found[p.Code] = true
	}
	for _, code := range codes {
		if !found[code] {
			return false
		}
	}
	return true
}

func writeOverview(o replay.Overview, out *terminal) error {
	var problems []error
	for _, p := range o.Problems {
		problems = append(problems, out.item(cell{strings.ReplaceAll(p.Code, "_", " "), red}, p.Text+" ("+p.Command+")"))
	}
	if len(o.Problems) == 0 {
		problems = append(problems, out.item(cell{"well", green}, "no open dead letters; "+output.Count(o.Lanes, "lane")+" run and none is behind"))
	}
	if o.End.Sequence > 0 {
		problems = append(problems, out.item(cell{"log", bold}, output.Count(o.End.Sequence, "event")+", the last at "+o.End.Time.Local().Format(time.DateTime)))
	}
	return errors.Join(append(problems, writeAudit(o.Audit, out))...)
}

// writeCommands writes all commands in short.
func writeCommands(app *kong.Kong, out *terminal) error {
	t := newTable("COMMAND", "")
	for _, node := range app.Model.Children {
		if !node.Hidden {
			t.add(cell{"ops " + node.Name, bold}, node.Help)
		}
	}
	return errors.Join(t.write(out), out.say("ops COMMAND --help explains a command. The shop is named by --shop FILE, by addresses such as --nats, or by the environment; without them it is the one of ./data/ready.json."))
}
