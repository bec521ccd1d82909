package console

// navGroup is a part of the navigation. The first has no name.
type navGroup struct {
	Name  string
	Links []anchor
}

// navigation is the same on every page.
var navigation = []navGroup{
	{"", []anchor{{"Overview", "/ops"}}},
	{"Shop", []anchor{{"Orders", "/ops/orders"}, {"Payments", "/ops/payments"}, {"Items", "/ops/items"}, {"Stock", "/ops/stock"}, {"Messages", "/ops/messages"}}},
	{"Log", []anchor{{"Events", "/ops/events"}, {"Replay", "/ops/replay"}, {"Dead letters", "/ops/deadletters"}}},
	{"Installation", []anchor{{"System", "/ops/system"}, {"Staff", "/ops/staff"}, {"Audit", "/ops/audit"}}},
}
