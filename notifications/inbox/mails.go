package inbox

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tillstream/events/embedded/journal"
)

// journalName is the file in Config.Dir: one mail per line, oldest first.
const journalName = "inbox.jsonl"

// envelope locates a mail in the journal. Memory holds one for every mail.
type envelope struct {
	id uint64
	to string
	at int64 // position in the journal
}

// entry is a line of the journal: the mail as it is shown, and its number.
type entry struct {
	ID uint64 `json:"id"`
	Message
}

// encode returns the line of a mail. It replaces invalid UTF-8.
func encode(m Message) ([]byte, error) {
	line, err := json.Marshal(entry{ID: m.ID, Message: m}, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("encode mail: %w", err)
	}
	return append(line, '\n'), nil
}

func decode(line []byte) (Message, error) {
	var e entry
	err := json.Unmarshal(line, &e)
	e.Message.ID = e.ID
	return e.Message, err
}

// openJournal opens the journal in the configured directory and returns the newest mails of it, oldest first.
func openJournal(cfg Config) (*journal.Journal, []envelope, error) {
	config := journal.Config{End: "\n"}
	if cfg.Dir != "" {
		config.Path = filepath.Join(cfg.Dir, journalName)
	}
	log := cfg.Logger.With("journal", config.Path)
	var mails []envelope
	config.Apply = func(at int64, line []byte) error {
		mails = appendLine(mails, at, line, log)
		if len(mails) >= 2*cfg.Keep {
			mails = slices.Clone(mails[len(mails)-cfg.Keep:])
		}
		return nil
	}
	config.Unfinished = func(tail []byte) error { // the client was not answered 250
		log.Warn("half-written mail cut off", "bytes", len(tail))
		return nil
	}
	j, err := journal.Open(config)
	return j, mails, err
}

// appendLine adds the mail of a line. It skips an unreadable mail, so the others can be shown.
func appendLine(mails []envelope, at int64, line []byte, log *slog.Logger) []envelope {
	m, err := decode(line)
	if err != nil {
		log.Warn("unreadable mail skipped", "at", at, "error", err)
		return mails
	}
	return append(mails, envelope{id: m.ID, to: m.To, at: at})
}

// keep assigns a number to a mail and stores it.
func (i *Inbox) keep(m Message) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return ErrStopped
	}
	m.ID = i.last + 1
	m.ReceivedAt = i.cfg.Now().UTC()
	line, err := encode(m)
	if err != nil {
		return err
	}
	at, err := i.journal.Append(line)
	if err != nil {
		return err
	}
	i.last = m.ID
	i.mails = append(i.mails, envelope{id: m.ID, to: m.To, at: at})
	if len(i.mails) >= 2*i.cfg.Keep {
		i.dropOldest()
	}
	return nil
}

// dropOldest drops all but the newest mails. It only logs a failure: the client's mail is stored, and after an error the client
// would send it again.
func (i *Inbox) dropOldest() {
	i.mails = slices.Clone(i.newest())
	if err := i.journal.DropBefore(i.mails[0].at); err != nil {
		i.cfg.Logger.Error("drop old mails", "error", err)
	}
}

// newest returns the mails that are kept. Older ones are dropped when there are twice as many.
func (i *Inbox) newest() []envelope { return i.mails[max(0, len(i.mails)-i.cfg.Keep):] }

// list returns the matching mails, newest first.
func (i *Inbox) list(match func(envelope) bool) (found []envelope) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	for _, e := range slices.Backward(i.newest()) {
		if match(e) {
			found = append(found, e)
		}
	}
	return found
}

// addressedTo matches the mails to an address, case-insensitive, and all mails if it is empty.
func addressedTo(address string) func(envelope) bool {
	return func(e envelope) bool {
		if address == "" {
			return true
		}
		for to := range strings.SplitSeq(e.to, ", ") {
			if strings.EqualFold(to, address) {
				return true
			}
		}
		return false
	}
}

// numbered matches one mail.
func numbered(id uint64) func(envelope) bool {
	return func(e envelope) bool { return e.id == id }
}

// read reads mails one by one, newest first. It stops at the first error, and at a mail that has been dropped, because all
// older ones were dropped too.
func (i *Inbox) read(list []envelope) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for _, e := range list {
			m, err := i.readOne(e)
			if errors.Is(err, journal.ErrDropped) || !yield(m, err) || err != nil {
				return
			}
		}
	}
}

func (i *Inbox) readOne(e envelope) (Message, error) {
	line, err := i.journal.Read(e.at)
	if err != nil {
		return Message{}, err
	}
	m, err := decode(line)
	if err != nil {
		return Message{}, fmt.Errorf("decode mail %d: %w", e.id, err)
	}
	return m, nil
}

// readAll reads mails. With an error it returns the mails before it.
func (i *Inbox) readAll(list []envelope) ([]Message, error) {
	mails := []Message{}
	for m, err := range i.read(list) {
		if err != nil {
			return mails, err
		}
		mails = append(mails, m)
	}
	return mails, nil
}
