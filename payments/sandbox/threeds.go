package sandbox

import (
	"embed"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed challenge.html
var challengeFiles embed.FS

var challengePage = template.Must(template.ParseFS(challengeFiles, "challenge.html"))

// challenge is what the bank's page shows.
type challenge struct {
	Amount    string
	Intent    string
	Last4     string
	Secret    string
	Waiting   bool
	Succeeded bool
	Back      string
}

// showChallenge is the page that stands for the shopper's bank.
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

// answerChallenge takes the shopper's choice and sends them back to the shop.
// A choice that was made before counts: doing it again only leads back.
func (s *Server) answerChallenge(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, largestRequest)
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
	if err != nil {
		s.challengeFailed(w, r, err)
		return
	}
	if in != nil && in.private.ReturnURL != "" {
		http.Redirect(w, r, backAddress(in), http.StatusSeeOther)
		return
	}
	s.renderChallenge(w, r, in)
}

// challenged finds the intent if the caller knows its secret.
func (s *Server) challenged(id, secret string) (*intent, error) {
	in, err := s.intents.find(id)
	if in == nil || !same(secret, in.ClientSecret) {
		return nil, err
	}
	return in, nil
}

func (s *Server) challengeFailed(w http.ResponseWriter, r *http.Request, err error) {
	s.config.Logger.Error("sandbox 3-D Secure", "intent", r.PathValue("id"), "error", err)
	http.Error(w, "the sandbox failed; its log has the cause", http.StatusInternalServerError)
}

// concludeChallenge moves a waiting intent on and returns its newest state,
// nil if there is none for that secret.
func (s *Server) concludeChallenge(id, secret string, complete bool) (*intent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting, err := s.challenged(id, secret)
	if waiting == nil || waiting.Status != requiresAction {
		return waiting, err
	}
	in := copied(waiting)
	t := s.begin(&call{})
	if complete {
		// A bank's no after the challenge is an outcome too; the intent tells it.
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
	view := challenge{
		Amount: displayAmount(in.Amount, in.Currency), Intent: in.ID, Secret: in.ClientSecret,
		Waiting: in.Status == requiresAction, Succeeded: in.Status == requiresCapture || in.Status == succeeded,
	}
	if in.private.Card != nil {
		view.Last4 = in.private.Card.Last4
	}
	if in.private.ReturnURL != "" {
		view.Back = backAddress(in)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address has the client secret in it
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self' "+origin(in.private.ReturnURL))
	if err := challengePage.Execute(w, view); err != nil {
		s.config.Logger.Debug("3-D Secure page not taken", "intent", in.ID, "error", err)
	}
}

// backAddress is the shop's return address with what Stripe adds to it.
func backAddress(in *intent) string {
	back, err := url.Parse(in.private.ReturnURL)
	if err != nil {
		return "" // readAttempt let only addresses in that can be parsed
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

// origin is what the page's form may lead to besides itself: browsers follow
// the redirect after a form only to places that the policy names.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
