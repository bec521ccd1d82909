// Package web is what every server of HTML pages in this repository needs: style sheets and scripts whose addresses contain a
// hash of their content, complete answers, and prices as people type them.
//
// Assets are read once, at start, from files that are embedded in the program. Nothing is built before: a browser gets the ES
// modules as they are written.
package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
)

// cacheForever is for addresses that contain a hash of their content.
const cacheForever = "public, max-age=31536000, immutable"

// kinds are the media types of the assets.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// Assets are the style sheet, the scripts and the icon, in memory. One hash over all of them is part of every address, as
// a folder, so that modules can import each other by relative name and still be cached for ever.
type Assets struct {
	base  string
	hash  string
	files map[string]Reply
}

// LoadAssets reads the files of the folder "assets". base is the path under which [Assets.Serve] is registered, such as
// "/assets/". made are further assets by name, which the program makes at start; nil: none.
func LoadAssets(files fs.ReadFileFS, base string, made map[string][]byte) (*Assets, error) {
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	bodies := map[string][]byte{}
	for _, entry := range entries {
		if bodies[entry.Name()], err = files.ReadFile("assets/" + entry.Name()); err != nil {
			return nil, fmt.Errorf("read asset %s: %w", entry.Name(), err)
		}
	}
	maps.Copy(bodies, made)
	sum := sha256.New()
	loaded := &Assets{base: base, files: map[string]Reply{}}
	for _, name := range slices.Sorted(maps.Keys(bodies)) {
		kind, known := kinds[path.Ext(name)]
		if !known {
			return nil, fmt.Errorf("read asset %s: unknown media type", name)
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(bodies[name]), bodies[name])
		loaded.files[name] = Reply{Kind: kind, Cache: cacheForever, Body: bodies[name]}
	}
	loaded.hash = hex.EncodeToString(sum.Sum(nil))[:12]
	return loaded, nil
}

// Address returns the path of an asset, with the hash.
func (a *Assets) Address(name string) (string, error) {
	if _, ok := a.files[name]; !ok {
		return "", fmt.Errorf("no asset %s", name)
	}
	return a.base + a.hash + "/" + name, nil
}

// Serve answers the path values "hash" and "name". It also answers an address with the hash of another release, but forbids
// caching: during a rolling deployment a page of the old release may request its scripts from a process of the new one.
func (a *Assets) Serve(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.PathValue("hash") != a.hash {
		file.Cache = "no-cache"
	}
	Send(w, file)
}

// ServeFavicon answers the fixed address of the icon, which browsers may keep for a day.
func (a *Assets) ServeFavicon(w http.ResponseWriter, _ *http.Request) {
	icon := a.files["favicon.svg"]
	icon.Cache = "public, max-age=86400"
	Send(w, icon)
}

// Reply is one complete answer.
type Reply struct {
	Status int    // default: 200
	Kind   string // media type
	Cache  string // Cache-Control
	Body   []byte
}

// Send writes the reply. The whole body exists before the first byte is sent, so no error cuts a page off.
func Send(w http.ResponseWriter, answer Reply) {
	header := w.Header()
	header.Set("Content-Type", answer.Kind)
	header.Set("Cache-Control", answer.Cache)
	header.Set("Content-Length", strconv.Itoa(len(answer.Body)))
	if answer.Status == 0 {
		answer.Status = http.StatusOK
	}
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body) // fails only when the client has gone
}

// SecurityHeaders sets a Content-Security-Policy and a Cross-Origin-Opener-Policy on every response, and headers that forbid
// frames, guesses of the content type, and the page's address in requests to other sites.
func SecurityHeaders(policy, opener string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Cross-Origin-Opener-Policy", opener)
		next.ServeHTTP(w, r)
	})
}
