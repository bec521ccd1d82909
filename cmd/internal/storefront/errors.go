package storefront

import "errors"

var (
	// ErrConfig is returned by [New] and [Proxy] when a setting is missing or invalid.
	ErrConfig = errors.New("invalid storefront configuration")
	// errNotFound is returned by the catalogue when the API has no such item.
	errNotFound = errors.New("not found")
	// errRefused is returned by the catalogue when the API refuses the request itself, such as a search that is too long
	// or an invalid cursor: the same request will always fail.
	errRefused = errors.New("refused")
	// errUnavailable is returned by the catalogue when the API cannot answer now.
	errUnavailable = errors.New("unavailable")
)
