package incident

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/proc"
)

// story prints what happens, with the time since its beginning.
type story struct {
	out   io.Writer
	began time.Time
}

// step prints one line of the story.
func (s *story) step(format string, args ...any) error {
	now := time.Now()
	_, err := fmt.Fprintf(s.out, "\n%s %7s  %s\n", now.Format(time.TimeOnly), "+"+now.Sub(s.began).Round(100*time.Millisecond).String(), fmt.Sprintf(format, args...))
	return err
}

// shownLines is how many lines of one answer are printed.
const shownLines = 30

// show prints what staff type and the beginning of the answer.
func (s *story) show(typed, answer string) error {
	lines := strings.Split(strings.TrimRight(answer, "\n"), "\n")
	more := ""
	if n := len(lines) - shownLines; n > 1 {
		lines, more = lines[:shownLines], fmt.Sprintf("… (%s)\n", output.Count(n, "more line"))
	}
	_, err := fmt.Fprintf(s.out, "$ %s\n%s\n%s", typed, strings.Join(lines, "\n"), more)
	return err
}

// ops runs ops as staff do and prints the answer, which it also returns. An exit code other than want is an [ErrUnexpected].
func (i *Incident) ops(ctx context.Context, want int, args ...string) (answer string, err error) {
	command := exec.CommandContext(ctx, filepath.Join(i.Programs, "ops"), args...)
	command.Env = append(os.Environ(), "TILLSTREAM_SHOP="+i.file, "NATS_URL=", "MONGODB_URI=", "STOREFRONT_URL=", "STRIPE_API_BASE=", "OPS_KEY=")
	var notes strings.Builder
	command.Stderr = &notes
	out, err := command.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("run ops: %w", err)
	}
	if err := i.show("ops "+quoted(args), string(out)); err != nil {
		return "", err
	}
	if code := command.ProcessState.ExitCode(); code != want {
		return "", fmt.Errorf("%w: ops %s: got exit code %d, want %d: %s%s", ErrUnexpected, quoted(args), code, want, notes.String(), out)
	}
	return string(out), nil
}

// quoted joins arguments as they are typed.
func quoted(args []string) string {
	typed := make([]string, len(args))
	for n, arg := range args {
		if typed[n] = arg; strings.ContainsAny(arg, " ;") {
			typed[n] = `"` + arg + `"`
		}
	}
	return strings.Join(typed, " ")
}

// alarm waits until a process of a worker reports a condition, and prints the condition and the metric that raises the alert. reason is
// part of the condition.
func (i *Incident) alarm(ctx context.Context, worker, reason, metric string) error {
	var url, ready string
	err := i.until(ctx, worker+" reports "+reason, func(ctx context.Context) (bool, error) {
		for _, r := range i.workers(worker) {
			if _, ready = proc.Get(ctx, r.URL+"/readyz"); strings.Contains(ready, reason) {
				url = r.URL
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	if err := i.show("curl "+url+"/readyz", ready); err != nil {
		return err
	}
	var value string
	err = i.until(ctx, metric+" is above 0", func(ctx context.Context) (bool, error) {
		_, metrics := proc.Get(ctx, url+"/metrics")
		for line := range strings.Lines(metrics) {
			if rest, ok := strings.CutPrefix(line, metric+" "); ok && strings.TrimSpace(rest) != "0" {
				value = line
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	return i.show("curl -s "+url+"/metrics | grep "+strings.SplitN(metric, "{", 2)[0], value)
}

// workers returns the processes of a worker.
func (i *Incident) workers(worker string) (replicas []*fleet.Replica) {
	for _, r := range i.Shop.Workers {
		if r.Worker == worker {
			replicas = append(replicas, r)
		}
	}
	return replicas
}
