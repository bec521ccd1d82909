package inbox

import (
	"bufio"
	"bytes"
	_ "embed" // for page.html
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Parse(pageSource))

// pageLength is how many mails the page lists. Older ones are found by their address.
const pageLength = 200

// pagePolicy isolates a mail: no script runs and nothing is fetched, so opening a mail is not reported to any server.
const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data: cid:; form-action 'self'; frame-ancestors 'self'; base-uri 'none'"

// Handler serves the inbox: GET /mail as a page, GET /mail/messages?to=ADDRESS as JSON.
func (i *Inbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /mail", i.servePage)
	mux.HandleFunc("GET /mail/messages", i.serveMessages)
	return mux
}

func (i *Inbox) serveMessages(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	out := &answer{ResponseWriter: w}
	err := writeMessages(out, i.read(i.list(addressedTo(recipient(r)))))
	if err != nil && !out.begun {
		i.fail(w, "read mails", err)
		return
	}
	i.logUnsent(err)
}

// answer records whether a part of it was sent, with status 200.
type answer struct {
	http.ResponseWriter
	begun bool
}

// Write implements io.Writer.
func (a *answer) Write(data []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(data)
}

// writeMessages writes mails one by one, because together they may have many megabytes. After an error the JSON is incomplete,
// so that clients detect it.
func writeMessages(w io.Writer, mails iter.Seq2[Message, error]) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, `{"messages":[`) // Flush returns the error
	separator := ""
	for m, err := range mails {
		if err != nil {
			return err
		}
		encoded, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("encode mail %d: %w", m.ID, err)
		}
		fmt.Fprintf(out, "%s%s", separator, encoded)
		separator = ","
	}
	fmt.Fprint(out, "]}")
	return out.Flush()
}

// recipient returns the requested address. An unescaped "+" arrives as a space, which no address of the shop contains.
func recipient(r *http.Request) string {
	return strings.ReplaceAll(strings.TrimSpace(r.URL.Query().Get("to")), " ", "+")
}

func (i *Inbox) servePage(w http.ResponseWriter, r *http.Request) {
	data, status, err := i.pageData(recipient(r), r.URL.Query().Get("id"))
	if err != nil {
		i.fail(w, "read mails", err)
		return
	}
	var body bytes.Buffer
	if err := page.Execute(&body, data); err != nil {
		i.fail(w, "render mail page", err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err = body.WriteTo(w)
	i.logUnsent(err)
}

func (i *Inbox) fail(w http.ResponseWriter, operation string, err error) {
	i.cfg.Logger.Error(operation, "error", err)
	http.Error(w, "The mails could not be shown.", http.StatusInternalServerError)
}

// logUnsent logs why an answer could not be sent, unless the client disconnected.
func (i *Inbox) logUnsent(err error) {
	if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		i.cfg.Logger.Warn("send mails", "error", err)
	}
}

// pageData is the list and the open mail.
type pageData struct {
	To    string
	Total int
	Mails []row
	Open  *openMail
	Gone  bool   // the requested mail was dropped
	Back  string // address of the list without the open mail
}

// row is a mail in the list.
type row struct {
	Link, To, Subject, Preview string
	At                         stamp
	Current                    bool
}

// openMail is a mail in full.
type openMail struct {
	Message
	At    stamp
	Frame string // the HTML part as a document of its own
}

// stamp is a time in RFC 3339 and in a readable form.
type stamp struct{ Machine, Day, Time string }

func stampAt(t time.Time) stamp {
	return stamp{Machine: t.Format(time.RFC3339), Day: t.Format("2 Jan 2006"), Time: t.Format("15:04:05 MST")}
}

func (i *Inbox) pageData(to, id string) (pageData, int, error) {
	list := i.list(addressedTo(to))
	mails, err := i.readAll(list[:min(pageLength, len(list))])
	if err != nil {
		return pageData{}, 0, err
	}
	data := pageData{To: to, Total: len(list), Back: link(to, 0)}
	open, _ := strconv.ParseUint(id, 10, 64) // no mail has number 0
	for _, m := range mails {
		data.Mails = append(data.Mails, row{
			Link: link(to, m.ID), To: m.To, Subject: subject(m), Preview: preview(m.Text),
			At: stampAt(m.ReceivedAt), Current: m.ID == open,
		})
	}
	if id == "" {
		return data, http.StatusOK, nil
	}
	found, err := i.readAll(i.list(numbered(open)))
	if err != nil {
		return pageData{}, 0, err
	}
	if len(found) == 0 {
		data.Gone = true
		return data, http.StatusNotFound, nil
	}
	m := found[0]
	m.Subject = subject(m)
	data.Open = &openMail{Message: m, At: stampAt(m.ReceivedAt), Frame: frame(m.HTML)}
	return data, http.StatusOK, nil
}

func link(to string, id uint64) string {
	q := url.Values{}
	if to != "" {
		q.Set("to", to)
	}
	if id != 0 {
		q.Set("id", fmt.Sprint(id))
	}
	if len(q) == 0 {
		return "/mail"
	}
	return "/mail?" + q.Encode()
}

func subject(m Message) string {
	if m.Subject == "" {
		return "(no subject)"
	}
	return m.Subject
}

// preview returns the start of a text on one line.
func preview(text string) string {
	const runes = 110
	line := strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(line) <= runes {
		return line
	}
	return string([]rune(line)[:runes]) + "…"
}

// frame returns the document of the frame. Its links open in another tab.
func frame(html string) string {
	if html == "" {
		return ""
	}
	return `<base target="_blank">` + html
}
