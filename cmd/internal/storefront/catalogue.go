package storefront

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tillstream/events"
)

const (
	pageSize = 24      // items on one catalogue page: full rows of two, three or four columns
	fewLeft  = 5       // up to this stock, pages show "Only n left"
	maxReply = 8 << 20 // bytes of an API answer
)

var (
	// errNotFound is returned by the catalogue when the API has no such item.
	errNotFound = errors.New("not found")
	// errRefused is returned by the catalogue when the API refuses the request itself, such as a search that is too long
	// or an invalid cursor: the same request will always fail.
	errRefused = errors.New("refused")
	// errUnavailable is returned by the catalogue when the API cannot answer now.
	errUnavailable = errors.New("unavailable")
)

// item is an item for sale, as the API describes it.
type item struct {
	SKU         string       `json:"sku"`
	Title       string       `json:"title"`
	Price       events.Money `json:"price"`
	Available   int64        `json:"available"`
	Image       string       `json:"image"`
	Tags        []string     `json:"tags"`
	Description string       `json:"description"`
}

// Page returns the address of the item's page.
func (i item) Page() string { return "/items/" + url.PathEscape(i.SKU) }

// Picture returns the address of the item's image. The security policy allows only images of this origin; every other
// item gets a generated picture.
func (i item) Picture() string {
	local := strings.HasPrefix(i.Image, "/") && !strings.HasPrefix(i.Image, "//")
	if local && !strings.HasPrefix(i.Image, "/images/items/") {
		return i.Image
	}
	query := url.Values{"title": {i.Title}}
	if len(i.Tags) > 0 {
		query.Set("tags", strings.Join(i.Tags, ","))
	}
	return "/images/items/" + url.PathEscape(i.SKU) + ".svg?" + query.Encode()
}

// Stock returns the availability as text.
func (i item) Stock() string {
	switch {
	case i.Available <= 0:
		return "Sold out"
	case i.Available <= fewLeft:
		return fmt.Sprintf("Only %d left", i.Available)
	}
	return fmt.Sprintf("%d in stock", i.Available)
}

// StockLevel returns the availability as a class of the style sheet.
func (i item) StockLevel() string {
	switch {
	case i.Available <= 0:
		return "none"
	case i.Available <= fewLeft:
		return "few"
	}
	return "good"
}

// listing is one page of the catalogue.
type listing struct {
	Items      []item `json:"items"`
	NextCursor string `json:"next_cursor"`
}

// catalogue reads items through the API, as any other client does.
type catalogue struct{ api http.Handler }

func (c catalogue) search(ctx context.Context, words, cursor string) (listing, error) {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if words != "" {
		query.Set("q", words)
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	var found listing
	err := c.get(ctx, "/api/items?"+query.Encode(), &found)
	return found, err
}

func (c catalogue) item(ctx context.Context, sku string) (item, error) {
	var found item
	err := c.get(ctx, "/api/items/"+url.PathEscape(sku), &found)
	return found, err
}

// get reads one answer of the API. It returns errNotFound, errRefused or errUnavailable.
func (c catalogue) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return fmt.Errorf("%w: get %s: %w", errRefused, path, err)
	}
	request.Header.Set("Accept", "application/json")
	// A server fills these fields in, and some handlers read them. The request comes from this process.
	request.Host, request.RequestURI, request.RemoteAddr = "storefront.internal", path, "127.0.0.1:0"
	answer := &recorder{header: http.Header{}}
	if err := answer.collect(c.api, request); err != nil {
		return fmt.Errorf("%w: get %s: %w", errUnavailable, path, err)
	}
	switch status := answer.status; {
	case status == http.StatusNotFound:
		return fmt.Errorf("%w: %s", errNotFound, path)
	case status >= 500 || status == http.StatusTooManyRequests:
		return fmt.Errorf("%w: %s answered %d: %.200s", errUnavailable, path, status, answer.body.Bytes())
	case status != http.StatusOK:
		return fmt.Errorf("%w: %s answered %d: %.200s", errRefused, path, status, answer.body.Bytes())
	}
	if err := json.Unmarshal(answer.body.Bytes(), into); err != nil {
		return fmt.Errorf("%w: decode the answer to %s: %w", errUnavailable, path, err)
	}
	return nil
}

// recorder is a ResponseWriter that keeps the answer in memory.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

var errTooLong = errors.New("answer too long")

// collect calls the handler and keeps its answer. A reverse proxy that loses its upstream panics with http.ErrAbortHandler,
// which would abort the page's own connection too, so collect turns that panic into an error.
func (r *recorder) collect(handler http.Handler, request *http.Request) (err error) {
	defer func() {
		switch reason := recover(); reason {
		case nil:
		case http.ErrAbortHandler:
			err = fmt.Errorf("answer cut off: %w", http.ErrAbortHandler)
		default:
			panic(reason)
		}
	}()
	handler.ServeHTTP(r, request)
	r.WriteHeader(http.StatusOK)
	return nil
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	// Informational answers may precede the final one.
	if r.status == 0 && status >= 200 {
		r.status = status
	}
}

func (r *recorder) Write(part []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	if r.body.Len()+len(part) > maxReply {
		return 0, errTooLong
	}
	return r.body.Write(part)
}
