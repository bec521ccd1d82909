package storefront

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"tillstream/events/api"
)

// ErrConfig is returned by [New] and [Proxy] when a setting is missing or invalid.
var ErrConfig = errors.New("invalid storefront configuration")

// Config configures a storefront.
type Config struct {
	// API serves /api and /webhooks, and the pages' own reads of the catalogue. Required.
	API http.Handler
	// Logger is where errors are logged. Default: nowhere.
	Logger *slog.Logger
	// OpenAPI returns the API's OpenAPI 3.1 document as JSON, for /openapi.json and /docs. Default: both are answered with 404.
	OpenAPI func() []byte
	// SandboxURL is where browsers reach the Stripe sandbox. If it is set, the order page shows the sandbox's card form.
	// Default: empty, for Stripe's Payment Element.
	SandboxURL string
	// ShopName is the name in page headers and titles. Default: Tillstream.
	ShopName string
}

// checked returns the configuration with its defaults, or an error that names the wrong field.
func (c Config) checked() (Config, error) {
	if c.API == nil {
		return c, fmt.Errorf("%w: API is required", ErrConfig)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.ShopName == "" {
		c.ShopName = "Tillstream"
	}
	if c.SandboxURL != "" {
		origin, err := originOf(c.SandboxURL)
		if err == nil {
			_, err = api.ParsePublicURL(origin)
		}
		if err != nil {
			return c, fmt.Errorf("%w: SandboxURL: %w", ErrConfig, err)
		}
		c.SandboxURL = origin
	}
	return c, nil
}

// originOf returns the origin of an address that has only a scheme and a host. The origin becomes part of a security header,
// where a path or a semicolon would change the meaning.
func originOf(raw string) (string, error) {
	address, err := url.Parse(strings.TrimSuffix(strings.TrimSpace(raw), "/"))
	if err != nil {
		return "", fmt.Errorf("parse %q: %w", raw, err)
	}
	plain := address.Path == "" && address.RawQuery == "" && address.Fragment == "" && address.User == nil
	if (address.Scheme != "http" && address.Scheme != "https") || address.Host == "" || !plain ||
		strings.ContainsAny(address.Host, "; ,'\"") {
		return "", fmt.Errorf("%q: want http://host:port", raw)
	}
	return address.Scheme + "://" + address.Host, nil
}
