// Command orders runs the orders worker: the orders API and the saga's decisions.
package main

import (
	"time"

	"tillstream/cmd/internal/process"
	"tillstream/orders"
)

type settings struct {
	process.Settings `embed:""`

	HoldFor          time.Duration `env:"HOLD_FOR" default:"30m" help:"How long stock waits for the money."`
	MaxOrderLines    int           `env:"MAX_ORDER_LINES" default:"100" help:"Different items in one order, at most 800."`
	process.Charging `embed:""`
	ShippingFee      orders.ShippingFees `env:"SHIPPING_FEE" placeholder:"GBP=395,EUR=450" help:"Flat fee per order in minor units, by currency; default: none."`
	SweepEvery       time.Duration       `env:"SWEEP_EVERY" default:"1m" help:"How often overdue orders are looked for, behind the timers."`
}

func main() {
	var s settings
	process.Main("orders", "Keeps the customer's promise: takes orders and leads each to its end.", &s, &s.Settings,
		func(env process.Env) (process.Domain, error) {
			return orders.New(orders.Config{Access: env.Access, Charges: s.ChargeLimits, DB: env.DB, Log: env.Log, Logger: env.Logger,
				HoldFor: s.HoldFor, MaxLines: s.MaxOrderLines, Shipping: s.ShippingFee, ExpireEvery: s.SweepEvery})
		})
}
