package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// pageDone are the messages after an action, by its name.
var pageDone = map[string]string{
	"advance": "The clock was moved, and what fell due was done.",
	"dispute": "The evidence was submitted.",
	"faults":  "The faults are in force. The counts begin again.",
	"foreign": "Another shop's payment was made.",
	"open":    "The payment is disputed.",
	"preset":  "The faults are in force. The counts begin again.",
}

// presets are faults to begin with.
var presets = map[string]Faults{
	"No faults": {},
	"Lost webhooks": {
		Webhooks: WebhookFaults{Drop: 0.2, Duplicate: 0.1, Reorder: 0.1, Delay: 0.1},
	},
	"Bad network": {
		Requests: RequestFaults{TimeoutBefore: 0.05, TimeoutAfter: 0.05, ServerError: 0.05, RateLimited: 0.05, Hold: Duration(5 * time.Second)},
	},
	"Everything": {
		Webhooks: WebhookFaults{Drop: 0.2, Duplicate: 0.1, Reorder: 0.1, Delay: 0.1, Forge: 0.05, OldVersion: 0.05, Foreign: 0.05},
		Requests: RequestFaults{TimeoutBefore: 0.02, TimeoutAfter: 0.02, RateLimited: 0.02, ServerError: 0.02, Stored500: 0.01, Conflict: 0.02, SearchRefused: 0.3, Hold: Duration(5 * time.Second)},
	},
}

var presetNames = []string{"No faults", "Lost webhooks", "Bad network", "Everything"}

// actOnPage answers POST /sandbox: it does the action of a form and returns to the page.
func (s *Server) actOnPage(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
	if err := r.ParseForm(); err != nil {
		s.renderPage(w, http.StatusBadRequest, "", "The form cannot be read.")
		return
	}
	action := r.PostForm.Get("action")
	if err := s.pageAction(action, r); err != nil {
		s.renderPage(w, http.StatusBadRequest, "", err.Error())
		return
	}
	s.settle()
	http.Redirect(w, r, "/sandbox?done="+action, http.StatusSeeOther)
}

func (s *Server) pageAction(action string, r *http.Request) error {
	id := r.PostForm.Get("id")
	switch action {
	case "advance":
		d, err := time.ParseDuration(r.PostForm.Get("by"))
		if err == nil {
			_, err = s.Advance(d)
		}
		return err
	case "foreign":
		return s.AddForeign(Foreign(r.PostForm.Get("kind")))
	case "dispute":
		return s.submitEvidence(id, r.PostForm.Get("evidence"))
	case "open":
		reason, inquiry := r.PostForm.Get("reason"), false
		if reason == "inquiry" {
			reason, inquiry = "general", true
		}
		_, err := s.OpenDispute(id, reason, inquiry)
		return err
	case "preset":
		name := r.PostForm.Get("preset")
		if !slices.Contains(presetNames, name) {
			return fmt.Errorf("there are no faults called %q", name)
		}
		return s.SetFaults(presets[name])
	case "faults":
		f, err := readFaultForm(r)
		if err != nil {
			return err
		}
		return s.SetFaults(f)
	}
	return fmt.Errorf("the page has no action %q", action)
}

// submitEvidence submits a text as the shop does.
func (s *Server) submitEvidence(id, evidence string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{id: newRequestID(), target: id, form: form{"evidence[uncategorized_text]": evidence}}
	t := s.begin(c)
	if _, problem := updateDispute(t, c); problem != nil {
		return fmt.Errorf("submit evidence for dispute %s: %w", id, problem)
	}
	return t.commit()
}

// readFaultForm reads the form of the faults, whose probabilities are in percent.
func readFaultForm(r *http.Request) (f Faults, err error) {
	for name, probability := range f.fields() {
		value := r.PostForm.Get(name)
		if value == "" {
			continue
		}
		percent, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return f, fmt.Errorf("%s: %q is not a number", name, value)
		}
		*probability = percent / 100
	}
	for name, into := range map[string]*Duration{"delay_by": &f.Webhooks.DelayBy, "hold": &f.Requests.Hold} {
		if value := r.PostForm.Get(name); value != "" {
			if err := into.UnmarshalText([]byte(value)); err != nil {
				return f, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if seed := r.PostForm.Get("seed"); seed != "" {
		if f.Seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
			return f, fmt.Errorf("seed: %w", err)
		}
	}
	return f, nil
}
