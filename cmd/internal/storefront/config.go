package storefront

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// Config says what the shop window shows and where its answers come from.
type Config struct {
	// API answers /api, /webhooks and /ops, and the pages' own reads of the catalogue. Required.
	API http.Handler
	// Logger gets what the operator should know. Default: nothing is logged.
	Logger *slog.Logger
	// OpenAPI returns the API's OpenAPI 3.1 document as JSON, for /openapi.json and /docs. Default: both are not found.
	OpenAPI func() []byte
	// SandboxURL is where browsers reach the Stripe sandbox; with it the order page shows the sandbox's card form.
	// Default: Stripe's own Payment Element.
	SandboxURL string
	// ShopName stands in the header and in titles. Default: Tillstream.
	ShopName string
}

// checked returns the configuration with its defaults filled in, or says which field is wrong.
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
		if err != nil {
			return c, fmt.Errorf("%w: SandboxURL: %w", ErrConfig, err)
		}
		c.SandboxURL = origin
	}
	return c, nil
}

// originOf accepts scheme and host only: the result goes into a security header, where a path or a stray
// semicolon would change what the header means.
func originOf(raw string) (string, error) {
	address, err := url.Parse(strings.TrimSuffix(strings.TrimSpace(raw), "/"))
	if err != nil {
		return "", fmt.Errorf("parse %q: %w", raw, err)
	}
	plain := address.Path == "" && address.RawQuery == "" && address.Fragment == "" && address.User == nil
	if (address.Scheme != "http" && address.Scheme != "https") || address.Host == "" || !plain ||
		strings.ContainsAny(address.Host, "; ,'\"") {
		return "", fmt.Errorf("%q is not of the form http://host:port", raw)
	}
	return address.Scheme + "://" + address.Host, nil
}
