package storefront

import (
	"fmt"
	"hash/fnv"
	"html"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"tillstream/cmd/internal/web"
	"tillstream/events"
)

// palette is one set of matching colours.
type palette struct{ wall, table, sun, main, second, line string }

// palettes are the colours of pictures; the SKU selects one.
var palettes = []palette{
	{"#f6e7d8", "#e9cdb4", "#fbf3ea", "#c4623f", "#f0b67f", "#5a2d1e"},
	{"#dfeae4", "#bcd3c7", "#f2f8f4", "#2f6f5e", "#e8b04b", "#1d3f37"},
	{"#e3e6f3", "#c3c9e4", "#f4f5fc", "#4a5aa8", "#f2a08c", "#262f5c"},
	{"#f7e1e3", "#e9bfc4", "#fdf3f4", "#b5485d", "#f3c98b", "#5c2230"},
	{"#fbeecb", "#efd58d", "#fff9e8", "#d08a1d", "#5f8f8a", "#5a3c0d"},
	{"#dcebf2", "#b4d2e1", "#f1f8fb", "#2c7294", "#f4b9a0", "#173d50"},
	{"#ece4f1", "#d2c0de", "#f8f4fb", "#7a4f96", "#8cc0a8", "#3d274c"},
	{"#e9ead6", "#cdd0a6", "#f7f8ec", "#75803a", "#d9785b", "#3a401b"},
}

// showPicture draws the picture of an item. The title and the tags in the query select the motif, so the picture depends only
// on its address and can be cached.
func (s *shop) showPicture(w http.ResponseWriter, r *http.Request) {
	sku, isPicture := strings.CutSuffix(r.PathValue("file"), ".svg")
	if !isPicture || events.CheckSKU(sku) != nil {
		s.showNotFound(w, r)
		return
	}
	web.Send(w, web.Reply{Kind: "image/svg+xml", Cache: "public, max-age=86400", Body: []byte(Picture(sku, r.URL.Query()))})
}

// Picture draws a still life: a wall, a table, a circle of light, and the item's motif, or an arrangement of shapes when
// no motif matches.
func Picture(sku string, about url.Values) string {
	hash := fnv.New64a()
	hash.Write([]byte(sku)) // a hash.Hash never returns an error
	seed := hash.Sum64()
	colours := palettes[seed%uint64(len(palettes))]
	title := clip(about.Get("title"), 120)
	motif := motifFor(title)
	if motif == "" {
		motif = motifFor(about.Get("tags")) // which may be as general as "kitchen"
	}
	if motif == "" {
		motif = arrangements[(seed>>8)%uint64(len(arrangements))]
	}
	label := title
	if label == "" {
		label = sku
	}
	paint := strings.NewReplacer("{main}", colours.main, "{second}", colours.second, "{line}", colours.line,
		"{wall}", colours.wall, "{table}", colours.table, "{sun}", colours.sun)
	var out strings.Builder
	out.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400" role="img">`)
	fmt.Fprintf(&out, `<title>%s</title>`, html.EscapeString(label))
	fmt.Fprintf(&out, `<path fill="%s" d="M0 0h400v400H0z"/>`, colours.wall)
	fmt.Fprintf(&out, `<circle cx="%d" cy="%d" r="%d" fill="%s"/>`,
		150+(seed>>16)%100, 150+(seed>>24)%40, 110+(seed>>32)%30, colours.sun)
	fmt.Fprintf(&out, `<path fill="%s" d="M0 300h400v100H0z"/>`, colours.table)
	fmt.Fprintf(&out, `<ellipse cx="200" cy="318" rx="110" ry="14" fill="%s" opacity=".16"/>`, colours.line)
	out.WriteString(paint.Replace(motif))
	out.WriteString(`</svg>`)
	return out.String()
}

// motifFor returns the first motif that one of the words selects; empty when none does.
func motifFor(words string) string {
	named := map[string]bool{}
	for _, word := range strings.FieldsFunc(strings.ToLower(words), func(r rune) bool { return !unicode.IsLetter(r) }) {
		named[word] = true
		named[strings.TrimSuffix(word, "s")] = true
	}
	for _, motif := range motifs {
		for _, name := range motif.names {
			if named[name] {
				return motif.drawing
			}
		}
	}
	return ""
}

// clip shortens text to at most n characters and drops control characters, which XML forbids even when escaped.
func clip(text string, n int) string {
	var out strings.Builder
	for _, letter := range strings.ToValidUTF8(text, "") {
		if n == 0 {
			break
		}
		if unicode.IsPrint(letter) {
			out.WriteRune(letter)
			n--
		}
	}
	return out.String()
}
