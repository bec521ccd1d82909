package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// errUnknown is returned for an object that does not exist.
var errUnknown = errors.New("there is no such object in the sandbox")

var (
	disputeListParams   = append([]string{"charge", "created", "payment_intent"}, pageParams...)
	disputeUpdateParams = []string{"evidence", "expand", "metadata", "submit"}
)

type disputeNote struct {
	Facts *disputeFacts `json:"news"`
}

type disputeFacts struct {
	Created int64 `json:"created"`
}

func (t *tx) putDispute(d *dispute) {
	facts := &disputeFacts{d.Created}
	t.put(lineDispute, d.ID, disputeNote{facts}, d)
	t.installs = append(t.installs, func(at int64) { t.server.installDispute(d.ID, at, facts, d) })
}

func (s *Server) installDispute(id string, at int64, facts *disputeFacts, d *dispute) {
	index, created := s.disputes.put(id, at, d)
	if created && facts != nil {
		s.disputes.rows[index].created = uint32(facts.Created)
	}
}

// dispute returns a copy to change, or nil.
func (t *tx) dispute(id string) *dispute {
	d, err := t.server.disputes.find(id)
	return clone(orFail(t, d, err))
}

// getDispute answers GET /v1/disputes/{id}.
func getDispute(t *tx, c *call) (any, *apiError) {
	d := t.dispute(c.target)
	if d == nil {
		return nil, notFound("dispute", "id", c.target)
	}
	return d, nil
}

// listDisputes answers GET /v1/disputes, newest first.
func listDisputes(t *tx, c *call) (any, *apiError) {
	created, problem := readTimeRange(c.form, "created")
	if problem != nil {
		return nil, problem
	}
	disputes := t.server.disputes
	match := func(index int) bool {
		if !created.includes(disputes.rows[index].created) {
			return false
		}
		d, err := disputes.get(index)
		return orFail(t, d, err) != nil && matchesWord(c.form, "charge", d.Charge) && matchesWord(c.form, "payment_intent", d.PaymentIntent)
	}
	indexes, more, problem := readPage(c.form, len(disputes.rows), disputes.index, match)
	if problem != nil {
		return nil, problem
	}
	return newPage(c.path, showAll(t, disputes, indexes), more), nil
}

// updateDispute answers POST /v1/disputes/{id}: it stages evidence, and submits it unless submit is false.
func updateDispute(t *tx, c *call) (any, *apiError) {
	d := t.dispute(c.target)
	if d == nil {
		return nil, notFound("dispute", "id", c.target)
	}
	metadata, problem := c.form.metadata(d.Metadata)
	if problem != nil {
		return nil, problem
	}
	d.Metadata = metadata
	submit := c.form.hasNested("evidence")
	if c.form.has("submit") {
		if submit, problem = c.form.boolean("submit"); problem != nil {
			return nil, problem
		}
	}
	if submit || c.form.hasNested("evidence") {
		if problem := d.readEvidence(c.form); problem != nil {
			return nil, problem
		}
	}
	status := d.Status
	if submit {
		d.EvidenceDetails.SubmissionCount++
		status = strings.Replace(status, needsResponse, underReview, 1)
	}
	t.changeDispute(d, status, "charge.dispute.updated")
	if submit {
		t.scheduleDispute(d)
	}
	return d, nil
}

func (d *dispute) readEvidence(f form) *apiError {
	if !strings.HasSuffix(d.Status, needsResponse) {
		return invalid("", "", "This dispute is already closed, or its evidence was submitted.")
	}
	evidence := make(map[string]text, len(d.Evidence))
	for _, name := range evidenceFields {
		evidence[name] = d.Evidence[name]
	}
	for name, value := range f {
		field, ok := strings.CutPrefix(name, "evidence[")
		if !ok {
			continue
		}
		field = strings.TrimSuffix(field, "]")
		if !slices.Contains(evidenceFields, field) {
			return invalid(name, "parameter_unknown", "Received unknown parameter: %s", name)
		}
		evidence[field] = text(value)
		d.EvidenceDetails.HasEvidence = true
	}
	d.Evidence = evidence
	return nil
}

// closeDispute answers POST /v1/disputes/{id}/close: the shop has no evidence, so the dispute is lost.
func closeDispute(t *tx, c *call) (any, *apiError) {
	d := t.dispute(c.target)
	if d == nil {
		return nil, notFound("dispute", "id", c.target)
	}
	if !strings.HasSuffix(d.Status, needsResponse) {
		return nil, invalid("", "", "This dispute is already closed, or its evidence was submitted.")
	}
	end := lost
	if d.inquiry() {
		end = warningClosed
	}
	t.changeDispute(d, end, "")
	return d, nil
}

// forceDispute answers POST /sandbox/disputes/{id} with {"status":"won"}.
func (s *Server) forceDispute(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Status string `json:"status"`
	}
	err := readControl(w, r, &wanted)
	if err == nil {
		err = s.SetDisputeStatus(r.PathValue("id"), wanted.Status)
	}
	s.answerControl(w, r.PathValue("id"), err)
}

// disputePayment answers POST /sandbox/disputes with {"payment_intent":"pi_…","reason":"fraudulent","inquiry":false}.
func (s *Server) disputePayment(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		PaymentIntent string `json:"payment_intent"`
		Reason        string `json:"reason"`
		Inquiry       bool   `json:"inquiry"`
	}
	err := readControl(w, r, &wanted)
	if err == nil && wanted.Reason == "" {
		err = fmt.Errorf("dispute payment %s: the reason is missing", wanted.PaymentIntent)
	}
	id := ""
	if err == nil {
		id, err = s.OpenDispute(wanted.PaymentIntent, wanted.Reason, wanted.Inquiry)
	}
	s.answerControl(w, id, err)
}

// answerControl answers with the id of the changed object or with the error.
func (s *Server) answerControl(w http.ResponseWriter, id string, err error) {
	switch {
	case errors.Is(err, errUnknown):
		s.refuseControl(w, http.StatusNotFound, err)
	case err != nil:
		s.refuseControl(w, http.StatusBadRequest, err)
	default:
		s.settle()
		s.sendControl(w, struct {
			ID string `json:"id"`
		}{id})
	}
}
