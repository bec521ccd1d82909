package storefront

import "errors"

var (
	// ErrConfig is returned by [New] and [Proxy] when a setting is missing or makes no sense.
	ErrConfig = errors.New("invalid storefront configuration")
	// errNotFound is returned by the catalogue when the API does not know the item.
	errNotFound = errors.New("not found")
	// errRefused is returned by the catalogue when the API finds the question itself wrong (a search too long, a
	// cursor that is not one): asking again changes nothing.
	errRefused = errors.New("refused")
	// errUnavailable is returned by the catalogue when the API cannot answer now.
	errUnavailable = errors.New("unavailable")
)
