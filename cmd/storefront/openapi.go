package main

import (
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events/api"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// document describes what this origin serves, which is spread over the domains' processes. The services it is read from have
// nothing behind them and are never called.
func document() ([]byte, error) {
	described := api.New(api.NewMux())
	for _, domain := range []interface{ Register(huma.API) }{&inventory.Service{}, &notifications.Service{}, &orders.Service{}, &payments.Service{}} {
		domain.Register(described)
	}
	data, err := described.OpenAPI().MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("render the OpenAPI document: %w", err)
	}
	return data, nil
}
