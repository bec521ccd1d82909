// Command orders runs the orders worker: the API for shoppers' orders, and the decisions that lead each order to its final
// status.
package main

import (
	"time"

	"tillstream/cmd/internal/process"
	"tillstream/orders"
)

type settings struct {
	process.Settings `embed:""`

	HoldFor          time.Duration `env:"HOLD_FOR" default:"30m" help:"How long stock is reserved for an unpaid order."`
	MaxOrderLines    int           `env:"MAX_ORDER_LINES" default:"100" help:"Maximum number of different items in one order, at most 800."`
	process.Charging `embed:""`
	OrderLimits      process.OrderLimits `embed:""`
	process.Streams  `embed:""`
	ShippingFee      orders.ShippingFees `env:"SHIPPING_FEE" placeholder:"GBP=395,EUR=450" help:"Flat delivery charge per order in minor units, by currency; default: none."`
	SweepEvery       time.Duration       `env:"SWEEP_EVERY" default:"1m" help:"How often to look for overdue orders that no timer ended."`
}

func main() {
	var s settings
	process.Main("orders", "Takes orders and coordinates stock and payment until each is confirmed or ended.", &s, &s.Settings,
		func(env process.Env) (process.Domain, error) {
			return orders.New(orders.Config{Access: env.Access, Charges: s.ChargeLimits, DB: env.DB, Log: env.Log, Logger: env.Logger,
				HoldFor: s.HoldFor, MaxLines: s.MaxOrderLines, Limits: orders.Limits(s.OrderLimits), Shipping: s.ShippingFee, ExpireEvery: s.SweepEvery, Proxies: s.TrustedProxies, Streams: s.StreamLimits()})
		})
}
