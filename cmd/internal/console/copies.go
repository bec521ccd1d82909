package console

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"tillstream/cmd/internal/entities"
	"tillstream/cmd/internal/output"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
)

// archived is a copy of the shop in a directory of this machine, from which it is downloaded. It contains customers' addresses.
type archived struct {
	Dir        string // for temporary files; removed when the next copy is complete, and when the console ends
	Name       string // of the folder in it and, with .zip, of the download
	Sequence   uint64 // of the last event in the copy
	Bytes      int64
	Unreadable int // entities that cannot be read at that moment
}

// copiesPage is the data of copies.html.
type copiesPage struct{ Backup, State workState[archived] }

// Running reports whether a copy is being made.
func (p copiesPage) Running() bool { return p.Backup.Running || p.State.Running }

func (c *console) copies() copiesPage {
	return copiesPage{Backup: c.work.backup.get(), State: c.work.state.get()}
}

func (c *console) showCopies(w http.ResponseWriter, r *http.Request) error {
	data := c.copies()
	return c.showWork(w, r, "copies.html", page{Title: "Copies", Command: "ops backup DIR", Data: data}, data.Running())
}

// startBackup writes a backup for download. It has no secrets: who finds them in a folder of downloads could sign in as anybody.
func (c *console) startBackup(r *http.Request, author events.Author) (outcome, error) {
	return c.startCopy(r, author, c.work.backup, "backup", "a backup", nil, func(ctx context.Context, dir string, report progress) (archived, error) {
		made, err := replay.Backup{DB: c.DB, Dir: filepath.Join(dir, "backup"), Log: c.Log, Progress: report}.Run(ctx)
		return archived{Name: "backup", Sequence: made.Cut, Bytes: made.Bytes}, err
	})
}

// startExport writes the state of the whole shop at a moment for download.
func (c *console) startExport(r *http.Request, author events.Author) (outcome, error) {
	at, err := c.Log.FindMoment(r.Context(), strings.TrimSpace(r.PostForm.Get("at")), c.Now().UTC())
	if err != nil {
		return outcome{}, err
	}
	name := fmt.Sprintf("shop-at-%d", at.Sequence)
	return c.startCopy(r, author, c.work.state, "at --all", fmt.Sprintf("the shop at sequence %d", at.Sequence), []string{fmt.Sprint(at.Sequence)}, func(ctx context.Context, dir string, report progress) (archived, error) {
		manifest, err := replay.Export{At: at, Dir: filepath.Join(dir, name), Kinds: entities.Kinds(), Log: c.Log, Progress: report}.Run(ctx)
		made := archived{Name: name, Sequence: at.Sequence}
		for _, f := range manifest.Files {
			made.Bytes, made.Unreadable = made.Bytes+f.Bytes, made.Unreadable+f.Unreadable
		}
		return made, err
	})
}

// writer writes a copy into a directory.
type writer func(ctx context.Context, dir string, report progress) (archived, error)

// startCopy makes a copy in a new directory, records it, and removes the copy before.
func (c *console) startCopy(r *http.Request, author events.Author, w *work[archived], action, what string, arguments []string, write writer) (outcome, error) {
	if author.Reason == "" {
		return outcome{}, errNoReason
	}
	err := w.start(r.Context(), author.Actor, "writing "+what, func(ctx context.Context, report progress) (archived, error) {
		dir, err := os.MkdirTemp("", "tillstream-copy-")
		if err != nil {
			return archived{}, fmt.Errorf("make a directory for %s: %w", what, err)
		}
		made, err := write(ctx, dir, report)
		made.Dir = dir
		outcome := fmt.Sprintf("%s bytes up to sequence %d for download", output.Number(made.Bytes), made.Sequence)
		if err = c.recorded(ctx, author, events.ActionRecorded{Action: action, Arguments: arguments, Outcome: outcome}, err); err != nil {
			return archived{}, errors.Join(err, os.RemoveAll(dir))
		}
		if before := w.get().Result; before != nil {
			err = os.RemoveAll(before.Dir)
		}
		return made, err
	})
	return outcome{Text: "Writing " + what + ". It can be downloaded when it is complete.", To: "/ops/system/copies"}, err
}

// downloadRoutes returns the downloads of copies. They are compressed already.
func (c *console) downloadRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /ops/download/backup", c.view(api.RepairData, c.download(c.work.backup)))
	mux.Handle("GET /ops/download/state", c.view(api.RepairData, c.download(c.work.state)))
	return mux
}

// download sends the newest copy as a zip archive. An error in the middle breaks the connection, so that the browser reports it.
func (c *console) download(w *work[archived]) viewer {
	return func(answer http.ResponseWriter, r *http.Request) error {
		made := w.get().Result
		if made == nil {
			return errNotFound
		}
		header := answer.Header()
		header.Set("Content-Type", "application/zip")
		header.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-%d.zip"`, made.Name, made.Sequence))
		header.Set("Cache-Control", "no-store")
		out := zip.NewWriter(answer)
		if err := errors.Join(out.AddFS(os.DirFS(made.Dir)), out.Close()); err != nil {
			c.Logger.WarnContext(r.Context(), "download ended early", "copy", made.Name, "error", err)
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}
