package api

import (
	"slices"

	"tillstream/events"
)

// Permission allows a kind of request. The permissions of an API key are its scopes.
type Permission string

// The permissions of staff.
const (
	ReadAll           Permission = "read"              // everything that staff see: orders, customers, stock, payments, messages, events
	ReadMetrics       Permission = "metrics:read"      // /metrics and the reasons of /readyz
	WriteOrders       Permission = "orders:write"      // place orders beyond the limits of shoppers, cancel orders
	FulfilOrders      Permission = "fulfilments:write" // record that goods are sent
	RefundOrders      Permission = "refunds:write"     // refund captured money
	WriteItems        Permission = "items:write"       // list and change items
	WriteStock        Permission = "stock:write"       // adjust stock
	WriteLanes        Permission = "lanes:write"       // pause and resume lanes
	SettleDeadLetters Permission = "deadletters:write" // redrive and discard dead letters
	RunReplays        Permission = "replays:write"     // request, stop and resume replays
	ApproveReplays    Permission = "replays:approve"   // approve a large replay of somebody else
	RepairData        Permission = "data:write"        // void events, rebuild, repair, back up, restore, change the topology
	ManageStaff       Permission = "staff:write"       // add, change and remove members of staff and API keys
)

// Role is a set of permissions that a member of staff has.
type Role string

// The roles of staff.
const (
	Viewer   Role = "viewer"
	Operator Role = "operator"
	Admin    Role = "admin"
)

// Roles lists the roles, each with fewer permissions than the next.
var Roles = []Role{Viewer, Operator, Admin}

// permissions is the permission table: what each role may do.
var permissions = []struct {
	permission Permission
	roles      []Role
}{
	{ReadAll, []Role{Viewer, Operator, Admin}},
	{ReadMetrics, []Role{Viewer, Operator, Admin}},
	{WriteOrders, []Role{Operator, Admin}},
	{FulfilOrders, []Role{Operator, Admin}},
	{RefundOrders, []Role{Operator, Admin}},
	{WriteItems, []Role{Operator, Admin}},
	{WriteStock, []Role{Operator, Admin}},
	{WriteLanes, []Role{Operator, Admin}},
	{SettleDeadLetters, []Role{Operator, Admin}},
	{RunReplays, []Role{Operator, Admin}},
	{ApproveReplays, []Role{Operator, Admin}},
	{RepairData, []Role{Admin}},
	{ManageStaff, []Role{Admin}},
}

// Permissions returns every permission, in the order of the permission table.
func Permissions() []Permission {
	all := make([]Permission, len(permissions))
	for i, row := range permissions {
		all[i] = row.permission
	}
	return all
}

// Permissions returns what a role may do; nothing for an unknown role.
func (r Role) Permissions() (may []Permission) {
	for _, row := range permissions {
		if slices.Contains(row.roles, r) {
			may = append(may, row.permission)
		}
	}
	return may
}

// Principal is the sender of a request, and the actor of the events that the request leads to.
type Principal struct {
	Actor       string       // such as "guest", "staff:mira" or "key:backup"
	Via         string       // tool and address of a client of staff, such as "console 192.0.2.7"; "" for shoppers
	Permissions []Permission // none for shoppers
}

// Guest is a shopper; on the routes of an order, the holder of its access token.
var Guest = Principal{Actor: events.ActorGuest}

// IsStaff reports whether the sender is a member of staff or an API key.
func (p Principal) IsStaff() bool { return events.IsStaff(p.Actor) }

// May reports whether the sender has a permission.
func (p Principal) May(permission Permission) bool { return slices.Contains(p.Permissions, permission) }

// Author returns the sender as the author of an event, with a reason, which may be "".
func (p Principal) Author(reason string) events.Author {
	return events.Author{Actor: p.Actor, Reason: reason, Via: p.Via}
}
