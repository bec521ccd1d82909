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

	jsonv2 "github.com/go-json-experiment/json"
)

// journalName is the file in Dir: one mail per line, oldest first.
const journalName = "inbox.jsonl"

// journal is where mails lie and outlive the process. A nil journal keeps nothing, for an inbox in memory.
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

// openJournal finds the newest mails again and opens the file for more.
func openJournal(dir string, keep int, log *slog.Logger) (*journal, []envelope, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make directory %s: %w", dir, err)
	}
	path := filepath.Join(dir, journalName)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open journal: %w", err)
	}
	j := &journal{path: path, file: file, keep: keep}
	mails, err := j.scan(log)
	if err != nil {
		return nil, nil, fmt.Errorf("read journal %s: %w", path, errors.Join(err, file.Close()))
	}
	return j, mails, nil
}

// scan finds the newest mails. A last line without an end is a mail whose 250 was never sent: it is cut off, so that
// the next line starts at the start of one.
func (j *journal) scan(log *slog.Logger) ([]envelope, error) {
	var mails []envelope
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
		at := whole
		whole += int64(len(line))
		m, err := decodeMail(line)
		if err != nil {
			log.Warn("skip an unreadable mail", "end", whole, "error", err)
			continue
		}
		mails = append(mails, envelope{id: m.ID, to: m.To, line: span{at: at, size: len(line) - 1}})
		if len(mails) >= 2*j.keep {
			mails = append(mails[:0], mails[len(mails)-j.keep:]...)
		}
	}
}

// append writes a mail down and tells how to find it. A line that was written only in part is taken back, so that it
// does not spoil the next.
func (j *journal) append(m Message) (envelope, error) {
	if j == nil {
		return envelope{id: m.ID, to: m.To, mail: &m}, nil
	}
	line, err := json.Marshal(entry{ID: m.ID, Message: m})
	if err != nil {
		return envelope{}, fmt.Errorf("encode mail: %w", err)
	}
	before, err := j.file.Seek(0, io.SeekEnd)
	if err != nil {
		return envelope{}, fmt.Errorf("end of journal: %w", err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return envelope{}, fmt.Errorf("write mail to journal: %w", errors.Join(err, j.file.Truncate(before)))
	}
	return envelope{id: m.ID, to: m.To, line: span{at: before, size: len(line)}}, nil
}

// open opens the journal as it is now for reading. A nil journal has nothing to open.
func (j *journal) open() (*os.File, error) {
	if j == nil {
		return nil, nil
	}
	file, err := os.Open(j.path)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return file, nil
}

// readMail reads a mail from where it lies.
func readMail(file io.ReaderAt, where span) (Message, error) {
	line := make([]byte, where.size)
	if _, err := file.ReadAt(line, where.at); err != nil {
		return Message{}, fmt.Errorf("read mail at byte %d of the journal: %w", where.at, err)
	}
	m, err := decodeMail(line)
	if err != nil {
		return Message{}, fmt.Errorf("decode mail at byte %d of the journal: %w", where.at, err)
	}
	return m, nil
}

// decodeMail reads a line. The journal is read far more often than written, hence the faster decoder; the encoder is the
// one that writes anything, also text that is not UTF-8.
func decodeMail(line []byte) (Message, error) {
	var e entry
	err := jsonv2.Unmarshal(line, &e)
	e.Message.ID = e.ID
	return e.Message, err
}

// rewrite replaces the journal by one that begins with the first of these mails, its newest, and tells where they lie
// now. The new one takes the old one's name when it is whole; until then the mails lie where they did.
func (j *journal) rewrite(mails []envelope) ([]envelope, error) {
	if j == nil || len(mails) == 0 {
		return mails, nil
	}
	begin := mails[0].line.at
	file, err := j.copyFrom(begin)
	if err != nil {
		return mails, fmt.Errorf("rewrite journal: %w", err)
	}
	old := j.file
	j.file = file
	for n := range mails {
		mails[n].line.at -= begin
	}
	return mails, old.Close()
}

// copyFrom puts a file in the journal's place that has what the journal has from a byte on.
func (j *journal) copyFrom(begin int64) (*os.File, error) {
	path := j.path + ".new"
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = j.file.Seek(begin, io.SeekStart); err == nil {
		_, err = io.Copy(file, j.file)
	}
	if err == nil {
		err = os.Rename(path, j.path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}
