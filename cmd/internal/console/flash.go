package console

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"
)

// flash is the result of an action, which the next page shows once.
type flash struct {
	Text  string `json:"text"`
	Bad   bool   `json:"bad,omitempty"`
	Event uint64 `json:"event,omitempty"` // sequence of the event that the action became
	Link  anchor `json:"link,omitzero"`
}

const flashCookie = "tillstream_flash"

// maxFlash is the longest text of a flash in bytes: browsers refuse cookies beyond 4,096.
const maxFlash = 2000

// setFlash keeps a flash for the next page, for a minute.
func (c *console) setFlash(w http.ResponseWriter, f flash) {
	if len(f.Text) > maxFlash {
		f.Text = f.Text[:maxFlash] + "…"
	}
	data, err := json.Marshal(f)
	if err != nil {
		return // a struct of texts and numbers is always JSON
	}
	http.SetCookie(w, c.cookie(flashCookie, base64.RawURLEncoding.EncodeToString(data), c.Now().Add(time.Minute)))
}

// takeFlash returns the flash for this page, nil without one, and removes it.
func (c *console) takeFlash(w http.ResponseWriter, r *http.Request) *flash {
	cookie, err := r.Cookie(flashCookie)
	if err != nil {
		return nil
	}
	http.SetCookie(w, c.cookie(flashCookie, "", time.Time{}))
	data, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	var f flash
	if err != nil || json.Unmarshal(data, &f) != nil || ownPath(f.Link.To) == "" && f.Link.To != "" {
		return nil
	}
	return &f
}
