// Command inventory runs the inventory worker: the catalogue API and the stock decisions.
package main

import (
	"tillstream/cmd/internal/process"
	"tillstream/inventory"
)

type settings struct {
	process.Settings `embed:""`
	process.Charging `embed:""`
}

func main() {
	var s settings
	process.Main("inventory", "Keeps what can be promised: items, stock and reservations.", &s, &s.Settings,
		func(env process.Env) (process.Domain, error) {
			return inventory.New(inventory.Config{Access: env.Access, Charges: s.ChargeLimits, Log: env.Log, Logger: env.Logger})
		})
}
