package notifications_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2/humatest"
	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/notifications"
)

func TestStaffReadTheMessagesOfAnOrder(t *testing.T) {
	t.Parallel()
	p := open(t)
	s := p.service(t)
	_, api := humatest.New(t)
	s.Register(api)
	_, m := p.queueMessage(t, confirmation("o1"))
	for name, c := range map[string]struct {
		order, token string
		want         int
	}{
		"Staff":       {"o1", "Bearer " + staffToken, http.StatusOK},
		"NoToken":     {"o1", "", http.StatusUnauthorized},
		"BareToken":   {"o1", staffToken, http.StatusUnauthorized},
		"Shopper":     {"o1", "Bearer token-of-o1", http.StatusUnauthorized},
		"OtherScheme": {"o1", "Basic " + staffToken, http.StatusUnauthorized},
		"NoSuchOrder": {"o2", "Bearer " + staffToken, http.StatusNotFound},
		"Wildcard":    {"*", "Bearer " + staffToken, http.StatusNotFound},
		"Everything":  {"%3E", "Bearer " + staffToken, http.StatusNotFound},
		"Dot":         {"a.b", "Bearer " + staffToken, http.StatusNotFound},
		"Huge":        {strings.Repeat("a", 5000), "Bearer " + staffToken, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			response := api.Get("/ops/api/notifications/"+c.order, "Authorization: "+c.token)
			if response.Code != c.want {
				t.Fatalf("got status %d, want %d: %s", response.Code, c.want, response.Body)
			}
			if c.want != http.StatusOK {
				return
			}
			var got struct {
				OrderID  string                  `json:"order_id"`
				Status   notifications.Status    `json:"status"`
				Messages []notifications.Message `json:"messages"`
			}
			if err := json.Unmarshal(response.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if got.OrderID != "o1" || got.Status != notifications.StatusQueued || len(got.Messages) != 1 || got.Messages[0].ID != m.MessageID {
				t.Errorf("got %+v, want the queued message %s of o1", got, m.MessageID)
			}
		})
	}
}

func TestStatusIsThatOfTheMessageThatNeedsMostAttention(t *testing.T) {
	t.Parallel()
	p := open(t)
	s := p.service(t)
	_, api := humatest.New(t)
	s.Register(api)
	_, m := p.queueMessage(t, refund("o1"))
	p.startAttempt(t, m)
	_, fine := p.queueMessage(t, confirmation("o1"))
	_, other := p.queueMessage(t, confirmation("o2"))
	p.start(t, s)
	p.waitForStatus(t, "o1", 0, notifications.StatusUnknown)
	p.waitForStatus(t, "o1", 1, notifications.StatusSent)
	p.waitForStatus(t, "o2", 0, notifications.StatusSent)
	type order struct {
		ID       string               `json:"order_id"`
		Status   notifications.Status `json:"status"`
		Messages []struct {
			ID string `json:"message_id"`
		} `json:"messages"`
	}
	for id, want := range map[string]struct {
		status   notifications.Status
		messages []string
	}{"o1": {notifications.StatusUnknown, []string{m.MessageID, fine.MessageID}}, "o2": {notifications.StatusSent, []string{other.MessageID}}} {
		response := api.Get("/ops/api/notifications/"+id, "Authorization: Bearer "+staffToken)
		var got order
		if err := json.Unmarshal(response.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		messages := []string{got.ID, string(got.Status)}
		for _, message := range got.Messages {
			messages = append(messages, message.ID)
		}
		if diff := cmp.Diff(append([]string{id, string(want.status)}, want.messages...), messages); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}

func TestNewNamesTheInvalidField(t *testing.T) {
	t.Parallel()
	p := open(t)
	good := notifications.Config{Access: testAccess{}, Log: p.log, From: "orders@shop.example", PublicURL: "https://shop.example/", SMTPURL: "smtp://localhost?tls=none"}
	if _, err := notifications.New(good); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*notifications.Config){
		"Config.Access":    func(c *notifications.Config) { c.Access = nil },
		"Config.Log":       func(c *notifications.Config) { c.Log = nil },
		"Config.EHLO":      func(c *notifications.Config) { c.EHLO = "shop.example\r\nQUIT" },
		"Config.From":      func(c *notifications.Config) { c.From = "nobody" },
		"Config.PublicURL": func(c *notifications.Config) { c.PublicURL = "http://[::]:8080" },
		"Config.SMTPURL":   func(c *notifications.Config) { c.SMTPURL = "localhost:25" },
	} {
		bad := good
		change(&bad)
		if _, err := notifications.New(bad); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got error %v, want one that names the field", field, err)
		}
	}
}

// A process that stops answers the requests that it cannot finish with 503 and Retry-After.
func TestAbandonedRequestIsAnsweredWithRetryAfter(t *testing.T) {
	t.Parallel()
	p := open(t)
	_, api := humatest.New(t)
	p.service(t).Register(api)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	w := api.GetCtx(stopped, "/ops/api/notifications/o1", "Authorization: Bearer "+staffToken)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %v %s, want 503 with Retry-After", w.Code, w.Header(), w.Body)
	}
}

func TestStaffReadWhatAMailSays(t *testing.T) {
	t.Parallel()
	p := open(t)
	_, api := humatest.New(t)
	p.service(t).Register(api)
	p.placeOrder(t, "o1", func(*events.Customer) {})
	_, m := p.queueMessage(t, confirmation("o1"))
	path := "/ops/api/notifications/o1/mails/" + m.MessageID
	response := api.Get(path, "Authorization: Bearer "+staffToken)
	var got notifications.Content
	if err := json.Unmarshal(response.Body.Bytes(), &got); err != nil {
		t.Fatalf("got status %d: %v", response.Code, err)
	}
	if got.MessageID != m.MessageID || got.Subject == "" || !strings.Contains(got.Text, "/orders/o1") || !strings.Contains(got.HTML, "<html") || strings.Contains(got.Text+got.HTML, "token=") {
		t.Errorf("got %+v, want the subject, the text and the HTML, with a link that has no token", got)
	}
	for path, want := range map[string]int{"/ops/api/notifications/o1/mails/other@shop.example": http.StatusNotFound, "/ops/api/notifications/o2/mails/" + m.MessageID: http.StatusNotFound,
		"/ops/api/notifications/a.b/mails/x": http.StatusNotFound} {
		if response := api.Get(path, "Authorization: Bearer "+staffToken); response.Code != want {
			t.Errorf("%s: got status %d, want %d", path, response.Code, want)
		}
	}
	if response := api.Get(path, "Authorization: Bearer token-of-o1"); response.Code != http.StatusUnauthorized {
		t.Errorf("a shopper: got status %d, want 401", response.Code)
	}
}
