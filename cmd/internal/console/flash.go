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

// maxFlash is the longest value of the cookie in bytes: browsers refuse cookies beyond 4,096 with name and attributes.
const maxFlash = 3800

// setFlash keeps a flash for the next page, for a minute.
func (c *console) setFlash(w http.ResponseWriter, f flash) {
	value := f.encode()
	for cut := []rune(f.Text); len(value) > maxFlash; value = f.encode() {
		cut = cut[:len(cut)/2] // the length of an encoded character is between one byte and eight
		f.Text = string(cut) + "…"
	}
	http.SetCookie(w, c.cookie(flashCookie, value, c.Now().Add(time.Minute)))
}

// encode returns the value of the cookie.
func (f flash) encode() string {
	data, _ := json.Marshal(f) // a struct of texts and numbers is always JSON
	return base64.RawURLEncoding.EncodeToString(data)
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
