package inbox

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"golang.org/x/text/encoding/htmlindex"
)

// Message is a received mail, decoded.
type Message struct {
	// ID is the number of the mail in its inbox, from 1 on.
	ID uint64 `json:"-"`

	// From is the decoded From header, or the sender of the envelope if there is none.
	From string `json:"from"`

	// To has the recipients of the envelope, joined by ", ".
	To string `json:"to"`

	// Subject is the decoded Subject header.
	Subject string `json:"subject"`

	// Text and HTML are the two forms of the body, decoded; either may be missing.
	Text string `json:"text"`
	HTML string `json:"html"`

	// MessageID is the Message-ID header without its angle brackets.
	MessageID string `json:"message_id"`

	// ReceivedAt is the time at which the inbox received it.
	ReceivedAt time.Time `json:"received_at"`
}

// parse decodes a mail. A part that cannot be decoded becomes text, so that broken mails are shown too.
func parse(raw []byte, from string, to []string) Message {
	m := Message{From: from, To: strings.Join(to, ", ")}
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		m.Text = string(raw)
		return m
	}
	if header := decodeHeader(parsed.Header.Get("From")); header != "" {
		m.From = header
	}
	m.Subject = decodeHeader(parsed.Header.Get("Subject"))
	m.MessageID = strings.Trim(parsed.Header.Get("Message-Id"), "<> ")
	body, err := io.ReadAll(parsed.Body)
	if err == nil {
		err = m.addPart(header(parsed.Header), body)
	}
	if err != nil {
		m.Text = strings.TrimLeft(fmt.Sprintf("%s\n\n[%v]\n\n%s", m.Text, err, body), "\n")
	}
	return m
}

// header is the header of a part. The whole mail is the outermost part.
type header map[string][]string

func (h header) get(name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// addPart decodes a part and its parts. The first text and the first HTML are the body; others are ignored.
func (m *Message) addPart(h header, body []byte) error {
	kind, params, err := mime.ParseMediaType(h.get("Content-Type"))
	if err != nil {
		kind, params = "text/plain", nil // the default of RFC 2045
	}
	if strings.HasPrefix(kind, "multipart/") {
		return m.addParts(body, params["boundary"])
	}
	if disposition, _, err := mime.ParseMediaType(h.get("Content-Disposition")); err == nil && disposition == "attachment" {
		return nil
	}
	var into *string
	switch kind {
	case "text/plain":
		into = &m.Text
	case "text/html":
		into = &m.HTML
	default:
		return nil
	}
	if *into != "" {
		return nil
	}
	*into, err = decodeText(body, h.get("Content-Transfer-Encoding"), params["charset"])
	return err
}

func (m *Message) addParts(body []byte, boundary string) error {
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("next part: %w", err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return fmt.Errorf("read part: %w", err)
		}
		if err := m.addPart(header(part.Header), content); err != nil {
			return err
		}
	}
}

func decodeText(body []byte, encoding, charset string) (string, error) {
	r, err := decodeCharset(decodeTransfer(bytes.NewReader(body), encoding), charset)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return "", fmt.Errorf("decode %s: %w", encoding, err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n"), nil
}

func decodeTransfer(r io.Reader, encoding string) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		return quotedprintable.NewReader(r)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, r) // it skips the line breaks itself
	default:
		return r
	}
}

func decodeCharset(r io.Reader, charset string) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "", "utf-8", "us-ascii":
		return r, nil
	}
	enc, err := htmlindex.Get(charset)
	if err != nil {
		return nil, fmt.Errorf("charset %q: %w", charset, err)
	}
	return enc.NewDecoder().Reader(r), nil
}

// decodeHeader decodes encoded words. It returns a header that cannot be decoded unchanged.
func decodeHeader(value string) string {
	words := mime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
		return decodeCharset(r, charset)
	}}
	if decoded, err := words.DecodeHeader(value); err == nil {
		return decoded
	}
	return value
}
