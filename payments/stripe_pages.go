package payments

import (
	"errors"
	"fmt"
)

// errRepeats is returned for a list whose next page begins where an earlier one did.
var errRepeats = errors.New("the server returns the same page of a list again and again")

// pages are the places in a list of Stripe at which its pages end. A server that does not know starting_after, or whose list changes its
// order, would be asked for ever.
type pages map[string]struct{}

// turn begins the page after an object. It returns [ErrRequest] if an earlier page has begun there.
func (p pages) turn(op operation, after string) error {
	if _, again := p[after]; again {
		return fmt.Errorf("%s after %s: %w", op, after, &GatewayError{Kind: ErrRequest, About: AboutRequest, Cause: errRepeats})
	}
	p[after] = struct{}{}
	return nil
}

// entries checks the entries of a list whose pages the SDK requests.
type entries struct {
	op    operation
	pages pages
	count int
}

// next counts an entry. It returns the error of [pages.turn] for every entry after which a page can end.
func (e *entries) next(id string) error {
	if e.count++; e.count%stripePage != 0 {
		return nil
	}
	return e.pages.turn(e.op, id)
}
