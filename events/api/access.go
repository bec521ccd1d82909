package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
)

// Principal is the sender of a request, and the actor of the events that the request leads to.
type Principal string

// The principals. A request without a token is a guest's.
const (
	Guest Principal = events.ActorGuest // a shopper; on the routes of an order, the holder of its access token
	Staff Principal = events.ActorOps   // the holder of the ops token
)

// The security of routes, as the OpenAPI document states it.
var (
	OrderSecurity = []map[string][]string{{"order": {}}}
	StaffSecurity = []map[string][]string{{"staff": {}}}
	// AnySecurity is of routes that guests may use, and that treat staff differently.
	AnySecurity = []map[string][]string{{}, {"staff": {}}}
)

// OrderAccess decides which requests may read an order.
type OrderAccess interface {
	// Allows reports whether an Authorization header has the access token of an order.
	Allows(orderID, authorization string) bool
}

// StaffAccess decides who is staff.
type StaffAccess interface {
	// Staff reports whether an Authorization header has the ops token.
	Staff(authorization string) bool
}

type principalKey struct{}

// PrincipalOf returns the sender of the request of a context.
func PrincipalOf(ctx context.Context) Principal {
	if p, ok := ctx.Value(principalKey{}).(Principal); ok {
		return p
	}
	return Guest
}

// Bearer returns the token of an Authorization header, "" when it has none. The scheme's case does not matter (RFC 9110
// §11.1), nor how many spaces follow it.
func Bearer(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimLeft(token, " ")
}

// Middleware runs before the operation of a route, and before huma reads the body.
type Middleware = func(ctx huma.Context, next func(huma.Context))

// RequireOrderToken accepts only requests with the access token of the order in the path parameter "id". Every other request
// gets 404 with the detail, so that a client cannot find out which orders exist.
func RequireOrderToken(router huma.API, access OrderAccess, detail string) Middleware {
	return func(ctx huma.Context, next func(huma.Context)) {
		id := ctx.Param("id")
		if events.CheckID(id) != nil || !access.Allows(id, ctx.Header("Authorization")) {
			_ = huma.WriteErr(router, ctx, http.StatusNotFound, detail) // fails only when the client has left
			return
		}
		next(huma.WithValue(ctx, principalKey{}, Guest))
	}
}

// RequireStaff accepts only requests of staff. Every other request gets 401.
func RequireStaff(router huma.API, access StaffAccess) Middleware {
	return func(ctx huma.Context, next func(huma.Context)) {
		if !access.Staff(ctx.Header("Authorization")) {
			ctx.SetHeader("WWW-Authenticate", "Bearer")
			_ = huma.WriteErr(router, ctx, http.StatusUnauthorized, "This is for staff. Please send the ops token as a bearer token.") // fails only when the client has left
			return
		}
		next(huma.WithValue(ctx, principalKey{}, Staff))
	}
}

// IdentifyStaff accepts every request, and records which are of staff.
func IdentifyStaff(access StaffAccess) Middleware {
	return func(ctx huma.Context, next func(huma.Context)) {
		principal := Guest
		if access.Staff(ctx.Header("Authorization")) {
			principal = Staff
		}
		next(huma.WithValue(ctx, principalKey{}, principal))
	}
}
