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
	pageSize = 24 // items on one catalogue page: full rows at two, three and four columns
	fewLeft  = 5  // from here on the shop says "only n left"
	maxReply = 8 << 20
)

// item is what the API tells about something for sale.
type item struct {
	SKU         string       `json:"sku"`
	Title       string       `json:"title"`
	Price       events.Money `json:"price"`
	Available   int64        `json:"available"`
	Image       string       `json:"image"`
	Tags        []string     `json:"tags"`
	Description string       `json:"description"`
}

// Page is the address of the item's page.
func (i item) Page() string { return "/items/" + url.PathEscape(i.SKU) }

// Picture is the address of the item's image. Only pictures on our own origin are shown, as the security policy allows
// no others; for everything else there is a generated one.
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

// Stock is the availability in words.
func (i item) Stock() string {
	switch {
	case i.Available <= 0:
		return "Sold out"
	case i.Available <= fewLeft:
		return fmt.Sprintf("Only %d left", i.Available)
	}
	return fmt.Sprintf("%d available", i.Available)
}

// StockLevel names the availability for the style sheet.
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

// catalogue reads items through the API, as any other client would.
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

// get fails with errNotFound, errRefused or errUnavailable.
func (c catalogue) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return fmt.Errorf("%w: ask for %s: %w", errRefused, path, err)
	}
	request.Header.Set("Accept", "application/json")
	// What a server fills in and some handlers look at; the address is nobody's, as we are inside.
	request.Host, request.RequestURI, request.RemoteAddr = "storefront.internal", path, "127.0.0.1:0"
	answer := &memory{header: http.Header{}}
	if err := answer.collect(c.api, request); err != nil {
		return fmt.Errorf("%w: ask for %s: %w", errUnavailable, path, err)
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
		return fmt.Errorf("%w: read the answer to %s: %w", errUnavailable, path, err)
	}
	return nil
}

// memory is a ResponseWriter that keeps the answer.
type memory struct {
	header http.Header
	status int
	body   bytes.Buffer
}

var errTooLong = errors.New("answer is too long")

// collect lets the handler answer. A reverse proxy gives up half way by panicking with http.ErrAbortHandler, which
// would otherwise take the page's own connection with it.
func (m *memory) collect(handler http.Handler, request *http.Request) (err error) {
	defer func() {
		switch reason := recover(); reason {
		case nil:
		case http.ErrAbortHandler:
			err = fmt.Errorf("answer was cut off: %w", http.ErrAbortHandler)
		default:
			panic(reason)
		}
	}()
	handler.ServeHTTP(m, request)
	m.WriteHeader(http.StatusOK)
	return nil
}

func (m *memory) Header() http.Header { return m.header }

func (m *memory) WriteHeader(status int) {
	// Informational answers may come before the real one.
	if m.status == 0 && status >= 200 {
		m.status = status
	}
}

func (m *memory) Write(part []byte) (int, error) {
	m.WriteHeader(http.StatusOK)
	if m.body.Len()+len(part) > maxReply {
		return 0, errTooLong
	}
	return m.body.Write(part)
}
