package storefront

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// worthGzip is the size from which compressing saves a packet.
const worthGzip = 1024

// reply is one complete answer.
type reply struct {
	status int    // default: 200
	kind   string // media type
	cache  string // Cache-Control
	body   []byte
	packed []byte // body compressed beforehand, if it was
}

// send writes the reply, compressed for those who accept it. Everything the shop window says is short and complete
// before the first byte leaves, so a page is never cut off by an error half way.
func send(w http.ResponseWriter, r *http.Request, answer reply) {
	header := w.Header()
	header.Set("Content-Type", answer.kind)
	header.Set("Cache-Control", answer.cache)
	header.Add("Vary", "Accept-Encoding")
	body := answer.body
	if len(body) >= worthGzip && acceptsGzip(r) {
		header.Set("Content-Encoding", "gzip")
		body = answer.packed
		if body == nil {
			body = pack(answer.body, gzip.DefaultCompression)
		}
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if answer.status == 0 {
		answer.status = http.StatusOK
	}
	w.WriteHeader(answer.status)
	// The only way this fails is that the reader has gone: there is nobody left to tell.
	_, _ = w.Write(body)
}

// acceptsGzip reads Accept-Encoding; "gzip;q=0" is how a client says no.
func acceptsGzip(r *http.Request) bool {
	for _, offer := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, parameters, _ := strings.Cut(strings.TrimSpace(offer), ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		quality, found := strings.CutPrefix(strings.ReplaceAll(parameters, " ", ""), "q=")
		weight, err := strconv.ParseFloat(quality, 64)
		return !found || (err == nil && weight > 0)
	}
	return false
}

// pack compresses in memory. Neither a bytes.Buffer nor a valid level can fail, so an error is the programmer's.
func pack(body []byte, level int) []byte {
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, level)
	if err == nil {
		_, err = writer.Write(body)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		panic(fmt.Sprintf("compress in memory: %v", err))
	}
	return packed.Bytes()
}
