package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/posener/complete"
	"github.com/willabides/kongplete"

	"tillstream/cmd/internal/projections"
	"tillstream/events"
	"tillstream/orders"
)

// completionCommand is ops completion.
type completionCommand struct {
	Shell string `arg:"" help:"bash, zsh or fish." enum:"bash,zsh,fish" predictor:"shell"`
}

// Help is shown by ops completion --help.
func (completionCommand) Help() string {
	return `Writes a script that makes the Tab key complete commands, flags and their values. The script calls this program, so repeat this after it was moved.

Examples:
  ops completion bash >> ~/.bashrc
  ops completion zsh >> ~/.zshrc
  ops completion fish > ~/.config/fish/completions/ops.fish`
}

// scripts make a shell call this program, with the line so far in COMP_LINE. The forms are those of kongplete, which can only install
// them for the login shell.
var scripts = map[string]string{
	"bash": "complete -C PROGRAM ops",
	"zsh":  "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\ncomplete -C PROGRAM ops",
	"fish": "function __complete_ops\n    set -lx COMP_LINE (commandline -cp)\n    test -z (commandline -ct)\n    and set COMP_LINE \"$COMP_LINE \"\n    PROGRAM\nend\ncomplete -f -c ops -a \"(__complete_ops)\"",
}

// Run writes the script of a shell.
func (c *completionCommand) Run(out *terminal) error {
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	quoted := "'" + strings.ReplaceAll(program, "'", `'\''`) + "'"
	if c.Shell == "bash" || c.Shell == "zsh" { // -C takes a command line
		quoted = "'" + strings.ReplaceAll(quoted, "'", `'\''`) + "'"
	}
	return out.emit(strings.ReplaceAll(scripts[c.Shell], "PROGRAM", quoted))
}

// complete answers a shell that asks for completions, and reports whether one did.
func completes(parser *kong.Kong) (asked bool) {
	if os.Getenv("COMP_LINE") == "" {
		return false
	}
	kongplete.Complete(parser, kongplete.WithPredictors(predictors()), kongplete.WithExitFunc(func(int) { asked = true }))
	return asked
}

// predictors complete the values of flags and parameters, by the name in their predictor tag.
func predictors() map[string]complete.Predictor {
	var statuses, payments, kinds, views []string
	for _, s := range orders.Statuses() {
		statuses = append(statuses, string(s))
	}
	for _, s := range orders.PaymentStatuses() {
		payments = append(payments, string(s))
	}
	for _, d := range events.Definitions() {
		kinds = append(kinds, d.Type)
	}
	for _, p := range projections.All() {
		views = append(views, p.Name)
	}
	return map[string]complete.Predictor{"shell": complete.PredictSet("bash", "zsh", "fish"), "status": complete.PredictSet(statuses...),
		"payment": complete.PredictSet(payments...), "domain": complete.PredictSet(domains...), "type": complete.PredictSet(kinds...),
		"projection": complete.PredictSet(append(views, "projections")...), "file": complete.PredictFiles("*"), "dir": complete.PredictDirs("*")}
}
