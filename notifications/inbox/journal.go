package inbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
)

// journalName is the file in Dir: one mail per line, oldest first.
const journalName = "inbox.jsonl"

// journal is where mails outlive the process. A nil journal keeps nothing, for an inbox in memory.
type journal struct {
	path string
	file *os.File
	keep int
}

// entry is a line of the journal: the mail as it is shown, and its number.
type entry struct {
	ID uint64 `json:"id"`
	Message
}

// openJournal reads the newest mails back and opens the file for more.
func openJournal(dir string, keep int, log *slog.Logger) (*journal, []Message, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make directory %s: %w", dir, err)
	}
	path := filepath.Join(dir, journalName)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open journal: %w", err)
	}
	j := &journal{path: path, file: file, keep: keep}
	mails, err := j.read(log)
	if err != nil {
		return nil, nil, fmt.Errorf("read journal %s: %w", path, errors.Join(err, file.Close()))
	}
	return j, mails, nil
}

// read returns the newest mails. A last line without an end is a mail whose 250 was never sent: it is cut off, so that
// the next line starts at the start of one.
func (j *journal) read(log *slog.Logger) ([]Message, error) {
	var mails []Message
	var whole int64 // bytes up to the end of the last whole line
	for r := bufio.NewReader(j.file); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if len(line) == 0 {
				return mails, nil
			}
			log.Warn("cut off a half-written mail", "bytes", len(line))
			return mails, j.file.Truncate(whole)
		}
		if err != nil {
			return nil, err
		}
		whole += int64(len(line))
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			log.Warn("skip an unreadable mail", "end", whole, "error", err)
			continue
		}
		e.Message.ID = e.ID
		if mails = append(mails, e.Message); len(mails) >= 2*j.keep {
			mails = append(mails[:0], mails[len(mails)-j.keep:]...)
		}
	}
}

// append writes a mail down. A line that was written only in part is taken back, so that it does not spoil the next.
func (j *journal) append(m Message) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(entry{ID: m.ID, Message: m})
	if err != nil {
		return fmt.Errorf("encode mail: %w", err)
	}
	before, err := j.file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("end of journal: %w", err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write mail to journal: %w", errors.Join(err, j.file.Truncate(before)))
	}
	return nil
}

// rewrite replaces the journal by one with only these mails. The new one takes the old one's name when it is whole.
func (j *journal) rewrite(mails []Message) error {
	if j == nil {
		return nil
	}
	path := j.path + ".new"
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("rewrite journal: %w", err)
	}
	if err := writeAll(file, mails); err != nil {
		return fmt.Errorf("rewrite journal: %w", errors.Join(err, file.Close()))
	}
	if err := os.Rename(path, j.path); err != nil {
		return fmt.Errorf("rewrite journal: %w", errors.Join(err, file.Close()))
	}
	old := j.file
	j.file = file
	return old.Close()
}

func writeAll(file *os.File, mails []Message) error {
	w := bufio.NewWriter(file)
	lines := json.NewEncoder(w)
	for _, m := range mails {
		if err := lines.Encode(entry{ID: m.ID, Message: m}); err != nil {
			return err
		}
	}
	return w.Flush()
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}
