package inbox

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseDecodesMails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw  string
		want Message
	}{
		"NoContentType": {
			"Subject: Hi\n\nplain",
			Message{Subject: "Hi", Text: "plain"},
		},
		"Latin1QuotedPrintable": {
			"Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe =\naus K=F6ln",
			Message{Subject: "Grüße", Text: "Grüße aus Köln"},
		},
		"Windows1252Subject": {
			"Subject: =?windows-1252?Q?12=80?=\n\nx",
			Message{Subject: "12€", Text: "x"},
		},
		"Base64HTMLOnly": {
			"Content-Type: text/html; charset=UTF-8\nContent-Transfer-Encoding: BASE64\n\nPHA+R3LD\nvMOfZTwvcD4=\n",
			Message{HTML: "<p>Grüße</p>"},
		},
		"AttachmentsAndNesting": {
			"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\nbody\n--b\nContent-Type: text/html\n\n<p>body</p>\n--b--\n--a\nContent-Type: text/plain\nContent-Disposition: attachment; filename=x.txt\n\nattached\n--a\nContent-Type: text/plain\n\nfooter\n--a--\n",
			Message{Text: "body", HTML: "<p>body</p>"},
		},
		"SenderOfTheHeader": {
			"From: =?utf-8?B?VMO2cGZlcmVp?= <shop@example.com>\n\nx",
			Message{From: "Töpferei <shop@example.com>", Text: "x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.To = "ada@example.com, bob@example.com"
			if c.want.From == "" {
				c.want.From = "envelope@example.com"
			}
			raw := strings.ReplaceAll(c.raw, "\n", "\r\n")
			got := parse([]byte(raw), "envelope@example.com", []string{"ada@example.com", "bob@example.com"})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("mail (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBrokenMailsBecomeText(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"NoHeader":       "just words",
		"NoBoundary":     "Content-Type: multipart/alternative\r\n\r\njust words",
		"NeverEnds":      "Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain\r\n\r\njust words",
		"UnknownCharset": "Content-Type: text/plain; charset=klingon\r\n\r\njust words",
		"BadBase64":      "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\njust words!",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := parse([]byte(raw), "a@b", []string{"c@d"}); !strings.Contains(got.Text, "just words") {
				t.Errorf("got text %q, want the words in it", got.Text)
			}
		})
	}
}
