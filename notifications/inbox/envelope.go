package inbox

import (
	"iter"
	"os"
	"slices"
	"strings"
)

// envelope is what memory keeps of a mail: enough to find it. The mail itself lies in the journal, where it is read
// when somebody asks for it.
type envelope struct {
	id   uint64
	to   string
	line span     // where the journal has the mail
	mail *Message // the mail itself, when there is no journal
}

// span is where a line lies in the journal, without its end.
type span struct {
	at   int64
	size int
}

func (e envelope) isTo(address string) bool {
	for to := range strings.SplitSeq(e.to, ", ") {
		if strings.EqualFold(to, address) {
			return true
		}
	}
	return false
}

// listing is some of the mails at one moment, newest first. It has the journal open as it was at that moment: when the
// journal is rewritten, its successor takes over the name and not the open file, so neither waits for the other.
type listing struct {
	envelopes []envelope
	journal   *os.File // nil when the envelopes have their mails with them
}

// list finds the mails that are wanted. Whoever asks closes the listing.
func (i *Inbox) list(wanted func(envelope) bool) (*listing, error) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	l := &listing{}
	for _, e := range slices.Backward(i.kept()) {
		if wanted(e) {
			l.envelopes = append(l.envelopes, e)
		}
	}
	if len(l.envelopes) == 0 {
		return l, nil
	}
	var err error
	l.journal, err = i.journal.open()
	return l, err
}

// addressedTo wants the mails to an address, whatever its case; to nobody in particular it wants all.
func addressedTo(address string) func(envelope) bool {
	return func(e envelope) bool { return address == "" || e.isTo(address) }
}

// numbered wants one mail.
func numbered(id uint64) func(envelope) bool {
	return func(e envelope) bool { return e.id == id }
}

// mails reads the newest mails of the listing, at most so many, one after the other. It ends with the first error.
func (l *listing) mails(most int) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for _, e := range l.envelopes[:min(most, len(l.envelopes))] {
			m, err := l.read(e)
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

func (l *listing) read(e envelope) (Message, error) {
	if e.mail != nil {
		return *e.mail, nil
	}
	return readMail(l.journal, e.line)
}

// Close lets go of the journal.
func (l *listing) Close() error {
	if l.journal == nil {
		return nil
	}
	return l.journal.Close()
}

// read reads the newest of the wanted mails, at most so many, and tells how many there are. With an error it returns
// those that it could read before.
func (i *Inbox) read(wanted func(envelope) bool, most int) (mails []Message, total int, err error) {
	l, err := i.list(wanted)
	if err != nil {
		return nil, 0, err
	}
	defer l.Close()
	mails = []Message{}
	for m, err := range l.mails(most) {
		if err != nil {
			return mails, len(l.envelopes), err
		}
		mails = append(mails, m)
	}
	return mails, len(l.envelopes), nil
}
