package storefront

import (
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
)

//go:embed assets
var assetFiles embed.FS

// forever is for addresses that carry a hash of what they serve.
const forever = "public, max-age=31536000, immutable"

// kinds are the media types we ship.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// assets are the style sheet, scripts and icon, in memory and compressed. One hash over all of them stands in the
// folder part of every address, so that modules can import each other by relative name and still be cached for ever.
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
			return nil, fmt.Errorf("read asset %s: no media type for it", entry.Name())
		}
		fmt.Fprintf(sum, "%s %d\n%s", entry.Name(), len(body), body)
		loaded.files[entry.Name()] = reply{kind: kind, cache: forever, body: body, packed: pack(body, gzip.BestCompression)}
	}
	loaded.hash = hex.EncodeToString(sum.Sum(nil))[:12]
	return loaded, nil
}

// address is where a page finds an asset.
func (a *assets) address(name string) (string, error) {
	if _, ok := a.files[name]; !ok {
		return "", fmt.Errorf("no asset %s", name)
	}
	return "/assets/" + a.hash + "/" + name, nil
}

// serve answers an address with another release's hash too, but uncached: during a rolling deployment a page of the
// old release may ask the new one for its scripts.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.PathValue("hash") != a.hash {
		file.cache = "no-cache"
	}
	send(w, r, file)
}

func (a *assets) serveFavicon(w http.ResponseWriter, r *http.Request) {
	icon := a.files["favicon.svg"]
	icon.cache = "public, max-age=86400"
	send(w, r, icon)
}
