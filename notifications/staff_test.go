package notifications_test

import (
	"strings"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/notifications"
)

// toStaff sets two addresses of staff.
func toStaff(c *notifications.Config) {
	c.StaffMail, c.StaffURL = []string{"Mira <mira@shop.example>", " desk@shop.example"}, "https://ops.example"
}

// disputedOrder returns the event of a dispute with a status.
func disputedOrder(orderID, status string) events.OrderDisputed {
	return events.OrderDisputed{OrderOutcome: notifications.SampleOutcome(orderID), Dispute: "dp_1", Status: status, Reason: "product_not_received",
		Amount: events.Money{Amount: 1250, Currency: "GBP"}, EvidenceDue: start.Add(7 * 24 * time.Hour)}
}

// Row 51 of the fault matrix: staff get one mail for each status of a dispute, with the date until when evidence is due and a link to
// the console. The shopper gets none.
func TestDisputeIsMailedToStaffOnce(t *testing.T) {
	t.Parallel()
	p := open(t)
	p.start(t, p.service(t, toStaff))
	opened := disputedOrder("o1", events.DisputeNeedsResponse)
	moreTime := opened
	moreTime.EvidenceDue = opened.EvidenceDue.Add(24 * time.Hour)
	lost := events.OrderDisputeClosed{OrderOutcome: notifications.SampleOutcome("o1"), Dispute: "dp_1", Status: events.DisputeLost, Amount: opened.Amount}
	p.appendOrder(t, "o1", opened, moreTime, lost)
	for i, want := range []string{"Dispute: £12.50 of order 8F3K2-MQD7A, answer by 28 November 2026", "Dispute lost: £12.50 of order 8F3K2-MQD7A"} {
		m := p.waitForStatus(t, "o1", i, notifications.StatusSent)
		mails := p.mailsWithID(m.ID)
		if len(mails) != 1 || mails[0].Subject != want {
			t.Fatalf("mail %d: got %+v, want one with subject %q", i, mails, want)
		}
		if got := mails[0]; !strings.Contains(got.To, "mira@shop.example") || !strings.Contains(got.To, "desk@shop.example") || strings.Contains(got.To, "ada@example.com") {
			t.Errorf("recipients: got %q, want the two addresses of staff", got.To)
		}
		if link := "https://ops.example/ops/orders/o1"; !strings.Contains(mails[0].Text, link) || strings.Contains(mails[0].Text, "token") {
			t.Errorf("want link %s and no token, got\n%s", link, mails[0].Text)
		}
	}
	p.waitUntilIdle(t)
	if got := len(p.state(t, "o1").Messages); got != 2 {
		t.Errorf("messages: got %d, want 2", got)
	}
}

// Without an address of staff nothing is queued.
func TestNobodyIsMailedWithoutStaff(t *testing.T) {
	t.Parallel()
	p := open(t)
	p.start(t, p.service(t))
	p.appendOrder(t, "o1", disputedOrder("o1", events.DisputeNeedsResponse), notifications.SampleConfirmed("o1"))
	m := p.waitForStatus(t, "o1", 0, notifications.StatusSent)
	if m.Template != notifications.TemplateConfirmed {
		t.Errorf("first message: got %s, want %s", m.Template, notifications.TemplateConfirmed)
	}
}

func TestStaffSettingsAreChecked(t *testing.T) {
	t.Parallel()
	p := open(t)
	for want, change := range map[string]func(*notifications.Config){
		"Config.StaffMail (STAFF_MAIL)": func(c *notifications.Config) { c.StaffMail, c.StaffURL = []string{"nobody"}, "https://ops.example" },
		"Config.StaffURL":               func(c *notifications.Config) { c.StaffMail = []string{"desk@shop.example"} },
	} {
		config := notifications.Config{Access: testAccess{}, From: "orders@shop.example", Log: p.log, PublicURL: "https://shop.example", SMTPURL: "smtp://localhost:25?tls=none"}
		change(&config)
		if _, err := notifications.New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that names %s", err, want)
		}
	}
}
