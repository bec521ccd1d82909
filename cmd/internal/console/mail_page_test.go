package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tillstream/cmd/internal/proof/browsertest"
	"tillstream/events"
	"tillstream/notifications"
)

// mailAPI takes the place of the worker that renders mails.
type mailAPI struct {
	content notifications.Content
	status  int
}

// ServeHTTP implements http.Handler.
func (a *mailAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/ops/api/notifications/"+orderID+"/mails/m1@shop.example" {
		http.NotFound(w, r)
		return
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
		_ = json.NewEncoder(w).Encode(map[string]string{"detail": "no template " + hostile}) // the recorder never fails
		return
	}
	_ = json.NewEncoder(w).Encode(a.content)
}

const mailAddress = "/ops/messages/" + orderID + "/m1@shop.example"

func openMail(t *testing.T) (*world, *mailAPI) {
	t.Helper()
	api := &mailAPI{content: notifications.Content{MessageID: "m1@shop.example", Subject: "Confirmed " + hostile, Language: "en", Text: "Thank you " + hostile,
		HTML: `<html><head><title>x</title><style>p { color: #123456 }</style></head><body><p id="said">Thank you</p><script>parent.document.title = 'taken'; document.getElementById('said').textContent = 'taken'</script><img src="/ops/pictures/x.svg" alt=""></body></html>`}}
	w := open(t, func(c *Config) { c.API = api })
	w.story()
	return w, api
}

func TestStaffReadAMailAsItIsRendered(t *testing.T) {
	w, api := openMail(t)
	shows(t, w.get("/ops/messages"), `href="`+mailAddress+`"`)
	shows(t, w.get("/ops/orders/"+orderID), `href="`+mailAddress+`"`)
	body := w.get(mailAddress)
	shows(t, body, "Confirmed &#34;&gt;&lt;img", "Thank you &#34;&gt;&lt;img", `src="`+mailAddress+`/html" sandbox`, "550 &lt;img", "ops mail "+orderID)
	if strings.Contains(body, "<img") || strings.Contains(body, "\u202e") {
		t.Error("got markup or a change of direction from stored text")
	}
	answer, _ := w.send(w.Client, "GET", mailAddress+"/html", nil)
	policy := answer.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'") || !strings.HasSuffix(policy, "sandbox") || answer.Header.Get("X-Frame-Options") != "SAMEORIGIN" {
		t.Errorf("the HTML part: got policy %q and X-Frame-Options %q, want nothing but style, in a frame of the console", policy, answer.Header.Get("X-Frame-Options"))
	}
	api.status = http.StatusConflict
	shows(t, w.get(mailAddress), "What it says cannot be shown: no template &#34;&gt;&lt;img", "order confirmed")
	for _, path := range []string{"/ops/messages/" + orderID + "/other@shop.example", "/ops/messages/" + events.FirstPaymentID("x") + "/m1@shop.example", "/ops/messages/" + url.PathEscape("a.b") + "/m1", mailAddress + "/html"} {
		if answer, _ := w.send(w.Client, "GET", path, nil); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got %s, want 404", path, answer.Status)
		}
	}
}

func TestNoScriptOfAMailRuns(t *testing.T) {
	w, _ := openMail(t)
	tab := w.tab(390)
	tab.Visit(w.URL + mailAddress)
	tab.Until("document.querySelector('iframe') !== null && document.readyState === 'complete'")
	if browsertest.Evaluate[bool](tab, "document.querySelector('iframe').contentDocument !== null") {
		t.Error("the page can read the frame: it has the origin of the console")
	}
	if title := browsertest.Evaluate[string](tab, "document.title"); title == "taken" {
		t.Error("a script of the mail has changed the page")
	}
	tab.NoSideScroll()
	w.checkLooks("mail", mailAddress)
}
