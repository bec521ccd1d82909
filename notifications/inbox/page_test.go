package inbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wneessen/go-mail"
)

func TestMessagesAreServedAsJSON(t *testing.T) {
	t.Parallel()
	i := start(t, Config{Now: func() time.Time { return noon }})
	m := textMail(t, "ada+test@example.com", "Hello")
	m.SetMessageIDWithValue("1@tillstream.test")
	send(t, i, m)
	send(t, i, textMail(t, "bob@example.com", "Not hers"))

	for _, query := range []string{"ada%2Btest@example.com", "ada+test@example.com"} {
		var got struct{ Messages []map[string]any }
		if err := json.Unmarshal(get(t, i, "/mail/messages?to="+query, http.StatusOK).Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		want := []map[string]any{{
			"from": "Tillstream Töpferei <shop@tillstream.test>", "to": "ada+test@example.com", "subject": "Hello", "text": "Thank you.",
			"html": "<p>Thank you.</p>", "message_id": "1@tillstream.test", "received_at": "2026-03-04T12:00:00Z",
		}}
		if diff := cmp.Diff(want, got.Messages); diff != "" {
			t.Errorf("to=%s (-want +got):\n%s", query, diff)
		}
	}
	if got := get(t, i, "/mail/messages?to=nobody@example.com", http.StatusOK).Body.String(); got != `{"messages":[]}` {
		t.Errorf("messages to an unknown address: got %s, want none", got)
	}
}

func TestMailIsShownInASandboxedFrame(t *testing.T) {
	t.Parallel()
	i := start(t, Config{Now: func() time.Time { return noon }})
	m := newMail(t, "ada@example.com", `<b>Hello</b> & "welcome"`)
	m.SetBodyString(mail.TypeTextPlain, "Thank <you>.")
	m.AddAlternativeString(mail.TypeTextHTML, `<p class="a">Thank you.</p><script>alert(1)</script>`)
	send(t, i, m)

	list := get(t, i, "/mail?to=ada@example.com", http.StatusOK)
	for _, want := range []string{`href="/mail?id=1&amp;to=ada%40example.com"`, "&lt;b&gt;Hello&lt;/b&gt; &amp; &#34;welcome&#34;", "1 mail ", "Thank &lt;you&gt;."} {
		if !strings.Contains(list.Body.String(), want) {
			t.Errorf("list: want %s, got\n%s", want, list.Body)
		}
	}
	open := get(t, i, "/mail?id=1", http.StatusOK)
	for _, want := range []string{
		`sandbox="allow-popups allow-popups-to-escape-sandbox"`,
		`srcdoc="&lt;base target=&#34;_blank&#34;&gt;&lt;p class=&#34;a&#34;&gt;Thank you.&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;"`,
		"<pre>Thank &lt;you&gt;.</pre>", "4 Mar 2026, 12:00:00 UTC",
	} {
		if !strings.Contains(open.Body.String(), want) {
			t.Errorf("open mail: want %s, got\n%s", want, open.Body)
		}
	}
	if strings.Contains(open.Body.String(), "<script") {
		t.Error("open mail: got a script of the mail in the page, want it escaped")
	}
	if got := open.Header().Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") {
		t.Errorf("Content-Security-Policy: got %q, want default-src 'none'", got)
	}
}

func TestMissingMailsAnswerWithAText(t *testing.T) {
	t.Parallel()
	i := start(t, Config{})
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/mail":                    {http.StatusOK, "No mail yet"},
		"/mail?to=ada@example.com": {http.StatusOK, "No mail to this address yet"},
		"/mail?id=7":               {http.StatusNotFound, "no longer available"},
		"/mail?id=one":             {http.StatusNotFound, "no longer available"},
		"/mail/elsewhere":          {http.StatusNotFound, ""},
		"/mail?to=%3Cscript%3Eada": {http.StatusOK, "&lt;script&gt;ada"},
	} {
		if body := get(t, i, path, want.status).Body.String(); !strings.Contains(body, want.text) {
			t.Errorf("%s: want %q, got\n%s", path, want.text, body)
		}
	}
}

func get(t testing.TB, i *Inbox, path string, status int) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	i.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != status {
		t.Errorf("GET %s: got %d, want %d", path, w.Code, status)
	}
	return w
}
