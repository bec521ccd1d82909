package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// pager is the position in a list that is shown in pages. The part "pager" draws it.
type pager struct {
	Number int // of the page, from 1
	Size   int // entries per page
	Total  int // of all entries; -1 when it is not known
	More   bool
	path   string
	query  url.Values
}

// pageSize is the number of entries of one page, unless the address has another, up to maxPageSize.
const (
	pageSize    = 50
	maxPageSize = 500
)

// pagerOf reads the position from the query fields "page" and "size". Set Total or More afterwards.
func pagerOf(r *http.Request) pager {
	p := pager{Number: 1, Size: pageSize, Total: -1, path: r.URL.Path, query: r.URL.Query()}
	if n, err := strconv.Atoi(p.query.Get("page")); err == nil && n > 0 && n < 1<<31/maxPageSize {
		p.Number = n
	}
	if n, err := strconv.Atoi(p.query.Get("size")); err == nil && n > 0 {
		p.Size = min(n, maxPageSize)
	}
	return p
}

// Skip is the number of entries before this page.
func (p pager) Skip() int { return (p.Number - 1) * p.Size }

// First and Last are the numbers of the first and the last entry of this page.
func (p pager) First() int { return p.Skip() + 1 }

// Last is the number of the last entry of this page.
func (p pager) Last() int {
	if p.Total >= 0 {
		return min(p.Skip()+p.Size, p.Total)
	}
	return p.Skip() + p.Size
}

// Previous is the address of the page before, "" on the first.
func (p pager) Previous() string {
	if p.Number == 1 {
		return ""
	}
	return p.at(p.Number - 1)
}

// Next is the address of the page after, "" on the last.
func (p pager) Next() string {
	if !p.More && p.Skip()+p.Size >= p.Total {
		return ""
	}
	return p.at(p.Number + 1)
}

func (p pager) at(number int) string {
	query := url.Values{}
	for name, values := range p.query {
		query[name] = values
	}
	query.Set("page", fmt.Sprint(number))
	return p.path + "?" + query.Encode()
}
