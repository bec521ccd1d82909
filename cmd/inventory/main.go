// Command inventory runs the inventory worker: the catalogue API, and the decisions about stock and reservations.
package main

import (
	"tillstream/cmd/internal/process"
	"tillstream/inventory"
)

type settings struct {
	process.Settings `embed:""`
	process.Charging `embed:""`
	HoldLimit        process.HoldLimit `embed:""`
}

func main() {
	var s settings
	process.Main("inventory", "Manages the catalogue, stock and reservations.", &s, &s.Settings,
		func(env process.Env) (process.Domain, error) {
			return inventory.New(inventory.Config{Access: env.Access, Charges: s.ChargeLimits, HoldLimit: inventory.HoldLimit(s.HoldLimit), Log: env.Log, Logger: env.Logger})
		})
}
