package storefront

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strconv"
)

//go:embed assets
var assetFiles embed.FS

// cacheForever is for addresses that contain a hash of their content.
const cacheForever = "public, max-age=31536000, immutable"

// kinds are the media types of the assets.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// assets are the style sheet, the scripts and the icon, in memory. One hash over all of them is part of every address, as
// a folder, so that modules can import each other by relative name and still be cached for ever.
type assets struct {
	hash  string
	files map[string]reply
}

func loadAssets() (*assets, error) {
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	sum := sha256.New()
	loaded := &assets{files: map[string]reply{}}
	for _, entry := range entries {
		body, err := assetFiles.ReadFile("assets/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read asset %s: %w", entry.Name(), err)
		}
		kind, known := kinds[path.Ext(entry.Name())]
		if !known {
			return nil, fmt.Errorf("read asset %s: unknown media type", entry.Name())
		}
		fmt.Fprintf(sum, "%s %d\n%s", entry.Name(), len(body), body)
		loaded.files[entry.Name()] = reply{kind: kind, cache: cacheForever, body: body}
	}
	loaded.hash = hex.EncodeToString(sum.Sum(nil))[:12]
	return loaded, nil
}

// address returns the path of an asset, with the hash.
func (a *assets) address(name string) (string, error) {
	if _, ok := a.files[name]; !ok {
		return "", fmt.Errorf("no asset %s", name)
	}
	return "/assets/" + a.hash + "/" + name, nil
}

// serve also answers an address with the hash of another release, but forbids caching: during a rolling deployment a page of
// the old release may request its scripts from a process of the new one.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.PathValue("hash") != a.hash {
		file.cache = "no-cache"
	}
	send(w, file)
}

func (a *assets) serveFavicon(w http.ResponseWriter, _ *http.Request) {
	icon := a.files["favicon.svg"]
	icon.cache = "public, max-age=86400"
	send(w, icon)
}

// reply is one complete answer.
type reply struct {
	status int    // default: 200
	kind   string // media type
	cache  string // Cache-Control
	body   []byte
}

// send writes the reply. The whole body exists before the first byte is sent, so no error cuts a page off.
func send(w http.ResponseWriter, answer reply) {
	header := w.Header()
	header.Set("Content-Type", answer.kind)
	header.Set("Cache-Control", answer.cache)
	header.Set("Content-Length", strconv.Itoa(len(answer.body)))
	if answer.status == 0 {
		answer.status = http.StatusOK
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body) // fails only when the client has gone
}
