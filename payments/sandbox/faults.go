package sandbox

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Faults are what goes wrong between the shop and Stripe, each with a probability from 0 to 1. With the same seed and the same
// traffic the same requests and events are hit; each kind of fault has random numbers of its own, so one probability does not
// change what another one hits. Faults end with the process.
type Faults struct {
	// Seed begins the random numbers. Default: 0.
	Seed     uint64        `json:"seed,omitempty"`
	Webhooks WebhookFaults `json:"webhooks"`
	Requests RequestFaults `json:"requests"`
}

// WebhookFaults are the probabilities of faults of an event.
type WebhookFaults struct {
	// Drop loses the event: it is never delivered, but it is in the event list.
	Drop float64 `json:"drop,omitempty"`
	// Duplicate delivers the event twice.
	Duplicate float64 `json:"duplicate,omitempty"`
	// Reorder holds the event back for up to a second, so that later ones overtake it.
	Reorder float64 `json:"reorder,omitempty"`
	// Delay delivers the event after DelayBy.
	Delay float64 `json:"delay,omitempty"`
	// DelayBy is the delay of Delay. Default: 5 s.
	DelayBy Duration `json:"delay_by,omitempty"`
	// Forge delivers the event with a wrong signature before it is delivered with the right one.
	Forge float64 `json:"forge,omitempty"`
	// OldVersion adds another event of the same change in API version 2014-12-22, where request is a string. It is delivered,
	// signed, and in the event list.
	OldVersion float64 `json:"old_version,omitempty"`
	// Foreign adds an event of a payment that another shop made on the same account: without metadata, with metadata null, with
	// an unknown order_id, or the refund of an unknown charge. It is delivered, signed, and in the event list.
	Foreign float64 `json:"foreign,omitempty"`
}

// RequestFaults are the probabilities of faults of a request with the secret key. Requests of shoppers' browsers have none.
type RequestFaults struct {
	// TimeoutBefore does nothing, sends no answer, and closes the connection after Hold.
	TimeoutBefore float64 `json:"timeout_before,omitempty"`
	// TimeoutAfter does the work, sends no answer, and closes the connection after Hold.
	TimeoutAfter float64 `json:"timeout_after,omitempty"`
	// Hold is how long a connection without an answer stays open; it ends when the client gives up. Default: 30 s.
	Hold Duration `json:"hold,omitempty"`
	// RateLimited answers 429 and does nothing.
	RateLimited float64 `json:"rate_limited,omitempty"`
	// ServerError answers 500 and does nothing; the answer is not stored under the idempotency key.
	ServerError float64 `json:"server_error,omitempty"`
	// Stored500 answers 500, which is stored under the idempotency key. The work is done in half of the cases. It hits only
	// requests with such a key.
	Stored500 float64 `json:"stored_500,omitempty"`
	// Stored500After is Stored500 with the work done in every case.
	Stored500After float64 `json:"stored_500_after,omitempty"`
	// Conflict answers 409: another request with the same idempotency key is in progress. It hits only requests with such a key.
	Conflict float64 `json:"conflict,omitempty"`
	// SearchRefused answers a search with 400, as Stripe does for accounts in India.
	SearchRefused float64 `json:"search_refused,omitempty"`
}

// The names of the faults, as in their JSON form.
const (
	faultDrop          = "webhooks.drop"
	faultDuplicate     = "webhooks.duplicate"
	faultReorder       = "webhooks.reorder"
	faultDelay         = "webhooks.delay"
	faultForge         = "webhooks.forge"
	faultOldVersion    = "webhooks.old_version"
	faultForeign       = "webhooks.foreign"
	faultTimeoutBefore = "requests.timeout_before"
	faultTimeoutAfter  = "requests.timeout_after"
	faultRateLimited   = "requests.rate_limited"
	faultServerError   = "requests.server_error"
	faultStored500     = "requests.stored_500"
	faultStoredAfter   = "requests.stored_500_after"
	faultConflict      = "requests.conflict"
	faultSearchRefused = "requests.search_refused"
)

const (
	defaultWebhookDelay = 5 * time.Second
	defaultHold         = 30 * time.Second
)

// fields returns where each probability is, by the name of the fault.
func (f *Faults) fields() map[string]*float64 {
	w, r := &f.Webhooks, &f.Requests
	return map[string]*float64{
		faultDrop: &w.Drop, faultDuplicate: &w.Duplicate, faultReorder: &w.Reorder, faultDelay: &w.Delay, faultForge: &w.Forge,
		faultOldVersion: &w.OldVersion, faultForeign: &w.Foreign,
		faultTimeoutBefore: &r.TimeoutBefore, faultTimeoutAfter: &r.TimeoutAfter, faultRateLimited: &r.RateLimited,
		faultServerError: &r.ServerError, faultStored500: &r.Stored500, faultStoredAfter: &r.Stored500After, faultConflict: &r.Conflict, faultSearchRefused: &r.SearchRefused,
	}
}

func (f Faults) probabilities() map[string]float64 {
	probabilities := make(map[string]float64)
	for name, p := range f.fields() {
		probabilities[name] = *p
	}
	return probabilities
}

// validate returns an error that names the first wrong field.
func (f Faults) validate() error {
	probabilities := f.probabilities()
	for _, name := range slices.Sorted(maps.Keys(probabilities)) {
		if p := probabilities[name]; !(p >= 0 && p <= 1) { // NaN is wrong, too
			return fmt.Errorf("sandbox faults: %s is %v, want a probability from 0 to 1", name, p)
		}
	}
	if f.Webhooks.DelayBy < 0 || f.Requests.Hold < 0 {
		return errors.New("sandbox faults: delay_by and hold must not be negative")
	}
	return nil
}

// faultPlan decides which requests and events are hit.
type faultPlan struct {
	mu            sync.Mutex
	faults        Faults
	probabilities map[string]float64
	random        map[string]*rand.Rand
	injected      map[string]int
}

func (p *faultPlan) set(f Faults) {
	if f.Webhooks.DelayBy == 0 {
		f.Webhooks.DelayBy = Duration(defaultWebhookDelay)
	}
	if f.Requests.Hold == 0 {
		f.Requests.Hold = Duration(defaultHold)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.probabilities = f, f.probabilities()
	p.random, p.injected = make(map[string]*rand.Rand), make(map[string]int)
	for name := range p.probabilities {
		hash := fnv.New64a()
		hash.Write([]byte(name))
		p.random[name] = rand.New(rand.NewPCG(f.Seed, hash.Sum64()))
	}
}

// pick returns the first of the faults that hits, which is then counted, or the empty string. Each fault draws a number, so that
// what one hits does not depend on the others.
func (p *faultPlan) pick(names ...string) (hit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		if probability := p.probabilities[name]; probability > 0 && p.random[name].Float64() < probability && hit == "" {
			hit = name
		}
	}
	if hit != "" {
		p.injected[hit]++
	}
	return hit
}

// number returns a random number below n for a fault that hits.
func (p *faultPlan) number(name string, n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random[name].IntN(n)
}

func (p *faultPlan) current() (Faults, map[string]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults, maps.Clone(p.injected)
}

// SetFaults begins faults, with counts of 0, and ends those before. It returns an error, and changes nothing, for a probability
// outside 0 to 1 and for a negative duration.
func (s *Server) SetFaults(f Faults) error {
	if err := f.validate(); err != nil {
		return err
	}
	s.faults.set(f)
	return nil
}

// Faults returns the faults in force.
func (s *Server) Faults() Faults {
	f, _ := s.faults.current()
	return f
}

// Injected returns how often each fault was injected since SetFaults, by its name, for example webhooks.drop.
func (s *Server) Injected() map[string]int {
	_, injected := s.faults.current()
	return injected
}

// shownFaults is the answer of the routes /sandbox/faults.
type shownFaults struct {
	Faults
	Injected map[string]int `json:"injected"`
}

// showFaults answers GET /sandbox/faults.
func (s *Server) showFaults(w http.ResponseWriter, _ *http.Request) {
	f, injected := s.faults.current()
	s.sendControl(w, shownFaults{f, injected})
}

// putFaults answers PUT /sandbox/faults.
func (s *Server) putFaults(w http.ResponseWriter, r *http.Request) {
	var f Faults
	err := readControl(w, r, &f)
	if err == nil {
		err = s.SetFaults(f)
	}
	if err != nil {
		s.refuseControl(w, http.StatusBadRequest, err)
		return
	}
	s.showFaults(w, r)
}

// endFaults answers DELETE /sandbox/faults. The answer has the counts of the faults that end.
func (s *Server) endFaults(w http.ResponseWriter, _ *http.Request) {
	_, injected := s.faults.current()
	s.faults.set(Faults{})
	s.sendControl(w, shownFaults{s.Faults(), injected})
}
