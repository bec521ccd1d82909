package notifications

import (
	"fmt"
	netmail "net/mail"
	"slices"
	"strings"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// TemplateStaffDispute is the mail to the shop's staff about a dispute. Staff mails are in English, as the console is.
const TemplateStaffDispute = "staff_dispute"

// staffTemplates are the templates of mails to the shop's staff.
var staffTemplates = []string{TemplateStaffDispute}

// forStaff reports whether a template is one of mails to the shop's staff.
func forStaff(template string) bool { return slices.Contains(staffTemplates, template) }

// DisputeFacts are the values of a mail about a dispute.
type DisputeFacts struct {
	ID     string    `json:"id"`     // at Stripe
	Status string    `json:"status"` // one of the Dispute constants of package events
	Reason string    `json:"reason"` // Stripe's, such as "fraudulent"
	Due    time.Time `json:"due,omitzero"`
}

// Disputed is the outcome of a dispute that was opened or has changed. Its mail goes to staff, once for each status.
func Disputed(p events.OrderDisputed, at time.Time) Outcome {
	o := outcomeOf(TemplateStaffDispute, p.OrderOutcome, at)
	o.Facts.Amount, o.Facts.Dispute = &p.Amount, &DisputeFacts{ID: p.Dispute, Status: p.Status, Reason: p.Reason, Due: p.EvidenceDue}
	return o
}

// DisputeClosed is the outcome of a dispute that has ended. Its mail goes to staff.
func DisputeClosed(p events.OrderDisputeClosed, at time.Time) Outcome {
	o := outcomeOf(TemplateStaffDispute, p.OrderOutcome, at)
	o.Facts.Amount, o.Facts.Dispute = &p.Amount, &DisputeFacts{ID: p.Dispute, Status: p.Status, Reason: p.Reason}
	return o
}

// staffRoutes queue mails to staff. Without a staff address they queue nothing.
func (s *Service) staffRoutes() []worker.Route {
	return []worker.Route{
		worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderDisputed) error {
			return s.queueForStaff(tx, e, Disputed(p, e.Time))
		}),
		worker.On(func(tx *eventlog.Tx, e events.Event, p events.OrderDisputeClosed) error {
			return s.queueForStaff(tx, e, DisputeClosed(p, e.Time))
		}),
	}
}

func (s *Service) queueForStaff(tx *eventlog.Tx, e events.Event, o Outcome) error {
	if len(s.staff) == 0 {
		return nil
	}
	return s.queue(tx, e, o)
}

// parseStaff returns the addresses of Config.StaffMail.
func parseStaff(addresses []string) ([]netmail.Address, error) {
	var staff []netmail.Address
	for _, text := range addresses {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		address, err := netmail.ParseAddress(text)
		if err != nil {
			return nil, fmt.Errorf("%.80q: %w", text, err)
		}
		staff = append(staff, *address)
	}
	return staff, nil
}

// consoleURL returns the address of the console, which may be missing if nobody is mailed about it.
func consoleURL(text string, staff []netmail.Address) (string, error) {
	if text == "" && len(staff) == 0 {
		return "", nil
	}
	base, _, err := publicURL(text)
	return base, err
}

// address sets the recipients of a mail: the customer, or all of the shop's staff. It returns false for a mail to staff that was queued
// before the setting was removed.
func (s *Service) address(mail *Mail, template string, customer events.Customer) bool {
	if !forStaff(template) {
		mail.To.Name, mail.To.Address = personName(customer.Name), customer.Email
		return true
	}
	if len(s.staff) == 0 {
		return false
	}
	mail.To, mail.Also = s.staff[0], s.staff[1:]
	return true
}

// forStaff changes the page of a mail to staff: it links to the console, and greets nobody by the customer's name.
func (r *renderer) forStaff(p *page, t *locale, f Facts) {
	p.Greeting, p.Words.View, p.URL = t.anyone, "Open the order in the staff console", r.staffURL(f.OrderID)
	if d := f.Dispute; d != nil {
		p.Dispute = d.ID
		p.Status, p.Reason = d.Status, strings.ReplaceAll(oneLine(d.Reason), "_", " ")
		if !d.Due.IsZero() {
			p.Due = t.day(d.Due.In(r.location))
		}
	}
}
