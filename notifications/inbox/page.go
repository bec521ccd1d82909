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
	"math"
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

// listed is how many mails the page lists; who wants older ones asks for an address.
const listed = 200

// pageRules keep a mail in its frame: no script runs and nothing is fetched, so what a mail refers to never learns
// that it was opened.
const pageRules = "default-src 'none'; style-src 'unsafe-inline'; img-src data: cid:; form-action 'self'; frame-ancestors 'self'; base-uri 'none'"

// Handler serves the inbox: GET /mail is a page for people, GET /mail/messages?to=ADDRESS the same as JSON.
func (i *Inbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /mail", i.servePage)
	mux.HandleFunc("GET /mail/messages", i.serveMessages)
	return mux
}

func (i *Inbox) serveMessages(w http.ResponseWriter, r *http.Request) {
	list, err := i.list(addressedTo(recipient(r)))
	if err != nil {
		i.fail(w, "read mails", err)
		return
	}
	defer list.Close()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	i.sent(writeMessages(w, list.mails(math.MaxInt)))
}

// writeMessages writes mails one by one, because all of them together may be many megabytes. After an error the JSON
// has no end, so that nobody takes it for everything.
func writeMessages(w io.Writer, mails iter.Seq2[Message, error]) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, `{"messages":[`) // the buffer remembers an error until Flush
	separator := ""
	for m, err := range mails {
		if err != nil {
			return errors.Join(err, out.Flush())
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

// recipient is the address asked for. A "+" that was not escaped arrives as a space, which no address of ours has.
func recipient(r *http.Request) string {
	return strings.ReplaceAll(strings.TrimSpace(r.URL.Query().Get("to")), " ", "+")
}

func (i *Inbox) servePage(w http.ResponseWriter, r *http.Request) {
	view, status, err := i.view(recipient(r), r.URL.Query().Get("id"))
	if err != nil {
		i.fail(w, "read mails", err)
		return
	}
	var body bytes.Buffer
	if err := page.Execute(&body, view); err != nil {
		i.fail(w, "render mail page", err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pageRules)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err = body.WriteTo(w)
	i.sent(err)
}

func (i *Inbox) fail(w http.ResponseWriter, what string, err error) {
	i.cfg.Logger.Error(what, "error", err)
	http.Error(w, "The mails could not be shown.", http.StatusInternalServerError)
}

// sent notes that an answer did not go out whole. A reader that went away is no news.
func (i *Inbox) sent(err error) {
	if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		i.cfg.Logger.Warn("send mails", "error", err)
	}
}

// pageView is what the page shows: the list, and the mail that is open.
type pageView struct {
	To    string
	Total int
	Mails []row
	Open  *openMail
	Gone  bool   // a mail was asked for that is not kept any more
	Back  string // the list without the open mail
}

// row is a mail in the list.
type row struct {
	Link, To, Subject, Preview string
	At                         stamp
	Current                    bool
}

// openMail is the mail being read.
type openMail struct {
	Message
	At    stamp
	Frame string // the HTML part as a document of its own
}

// stamp is a moment for machines and for people.
type stamp struct{ Machine, Day, Time string }

func stampAt(t time.Time) stamp {
	return stamp{Machine: t.Format(time.RFC3339), Day: t.Format("2 Jan 2006"), Time: t.Format("15:04:05 MST")}
}

func (i *Inbox) view(to, id string) (pageView, int, error) {
	mails, total, err := i.read(addressedTo(to), listed)
	if err != nil {
		return pageView{}, 0, err
	}
	view := pageView{To: to, Total: total, Back: link(to, 0)}
	open, _ := strconv.ParseUint(id, 10, 64) // what is no number is mail 0, which there is not
	for _, m := range mails {
		view.Mails = append(view.Mails, row{
			Link: link(to, m.ID), To: m.To, Subject: subject(m), Preview: preview(m.Text),
			At: stampAt(m.ReceivedAt), Current: m.ID == open,
		})
	}
	if id == "" {
		return view, http.StatusOK, nil
	}
	found, _, err := i.read(numbered(open), 1)
	if err != nil {
		return pageView{}, 0, err
	}
	if len(found) == 0 {
		view.Gone = true
		return view, http.StatusNotFound, nil
	}
	m := found[0]
	m.Subject = subject(m)
	view.Open = &openMail{Message: m, At: stampAt(m.ReceivedAt), Frame: frame(m.HTML)}
	return view, http.StatusOK, nil
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

// preview is the beginning of a mail on one line.
func preview(text string) string {
	const runes = 110
	line := strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(line) <= runes {
		return line
	}
	return string([]rune(line)[:runes]) + "…"
}

// frame makes links of a mail open beside the inbox instead of inside the frame.
func frame(html string) string {
	if html == "" {
		return ""
	}
	return `<base target="_blank">` + html
}
