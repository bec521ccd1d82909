package sandbox

import (
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"tillstream/events"
)

//go:embed challenge.html
var challengeFiles embed.FS

var challengePage = template.Must(template.ParseFS(challengeFiles, "challenge.html"))

// challenge is the data of the bank's page.
type challenge struct {
	Amount    string
	Intent    string
	Last4     string
	Secret    string
	Waiting   bool
	Succeeded bool
	Back      string
}

// showChallenge answers GET /3ds/{id} with the page of the shopper's bank.
func (s *Server) showChallenge(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	in, err := s.challenged(r.PathValue("id"), r.URL.Query().Get("client_secret"))
	s.mu.Unlock()
	if err != nil {
		s.challengeFailed(w, r, err)
		return
	}
	s.renderChallenge(w, r, in)
}

// answerChallenge answers POST /3ds/{id}: it applies the button that the shopper pressed and redirects to the shop. Only the
// first press counts.
func (s *Server) answerChallenge(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	choice := r.PostForm.Get("outcome")
	if choice != "complete" && choice != "fail" {
		http.Error(w, "outcome must be complete or fail", http.StatusBadRequest)
		return
	}
	in, err := s.concludeChallenge(r.PathValue("id"), r.PostForm.Get("client_secret"), choice == "complete")
	s.settle()
	if err != nil {
		s.challengeFailed(w, r, err)
		return
	}
	if in != nil && in.private.ReturnURL != "" {
		http.Redirect(w, r, returnURL(in), http.StatusSeeOther)
		return
	}
	s.renderChallenge(w, r, in)
}

// challenged returns the intent if the secret is its client secret, otherwise nil.
func (s *Server) challenged(id, secret string) (*intent, error) {
	in, err := s.intents.find(id)
	if in == nil || !equal(secret, in.ClientSecret) {
		return nil, err
	}
	return in, nil
}

func (s *Server) challengeFailed(w http.ResponseWriter, r *http.Request, err error) {
	s.config.Logger.Error("3-D Secure challenge", "intent", r.PathValue("id"), "error", err)
	http.Error(w, "the sandbox failed; its log has the cause", http.StatusInternalServerError)
}

// concludeChallenge ends the authentication of a waiting intent. It returns the intent's newest state, nil if the secret is wrong.
func (s *Server) concludeChallenge(id, secret string, complete bool) (*intent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting, err := s.challenged(id, secret)
	if waiting == nil || waiting.Status != requiresAction {
		return waiting, err
	}
	in := clone(waiting)
	t := s.begin(&call{})
	if complete {
		// The bank may decline after the challenge; then the intent has the error.
		_, _ = t.collect(in, true)
	} else {
		t.failAuthentication(in)
	}
	return in, t.commit()
}

func (s *Server) renderChallenge(w http.ResponseWriter, r *http.Request, in *intent) {
	if in == nil {
		http.NotFound(w, r)
		return
	}
	data := challenge{
		Amount: events.Money{Amount: in.Amount, Currency: strings.ToUpper(in.Currency)}.String(), Intent: in.ID, Secret: in.ClientSecret,
		Waiting: in.Status == requiresAction, Succeeded: in.Status == requiresCapture || in.Status == succeeded,
	}
	if in.private.Card != nil {
		data.Last4 = in.private.Card.Last4
	}
	if in.private.ReturnURL != "" {
		data.Back = returnURL(in)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address contains the client secret
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self' "+origin(in.private.ReturnURL))
	if err := challengePage.Execute(w, data); err != nil {
		s.config.Logger.Debug("send 3-D Secure page", "intent", in.ID, "error", err)
	}
}

// returnURL returns the shop's return address with the parameters that Stripe adds.
func returnURL(in *intent) string {
	back, err := url.Parse(in.private.ReturnURL)
	if err != nil {
		return "" // not reached: readAttempt has parsed it
	}
	outcome := "failed"
	if in.Status == requiresCapture || in.Status == succeeded {
		outcome = "succeeded"
	}
	query := back.Query()
	query.Set("payment_intent", in.ID)
	query.Set("payment_intent_client_secret", in.ClientSecret)
	query.Set("redirect_status", outcome)
	back.RawQuery = query.Encode()
	return back.String()
}

// origin returns the origin of an address. The page's policy must allow the shop's origin, because browsers apply form-action to
// the redirect after a form, too.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
