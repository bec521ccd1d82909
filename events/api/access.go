package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
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
	// Staff returns the member of staff or the API key whose credential an Authorization header has; false when it has none
	// that is valid. Via is empty.
	Staff(authorization string) (Principal, bool)
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

// RequireStaff accepts only requests of staff with a permission. A request without a valid credential gets 401, one without the
// permission 403.
func RequireStaff(router huma.API, access StaffAccess, permission Permission) Middleware {
	return func(ctx huma.Context, next func(huma.Context)) {
		principal, ok := staffOf(ctx, access)
		switch {
		case !ok:
			ctx.SetHeader("WWW-Authenticate", "Bearer")
			_ = huma.WriteErr(router, ctx, http.StatusUnauthorized, "This is for staff. Please send an API key as a bearer token.") // fails only when the client has left
		case !principal.May(permission):
			_ = huma.WriteErr(router, ctx, http.StatusForbidden, fmt.Sprintf("%s does not have the permission %s.", principal.Actor, permission)) // the same
		default:
			next(huma.WithValue(ctx, principalKey{}, principal))
		}
	}
}

// IdentifyStaff accepts every request, and records which are of staff with a permission.
func IdentifyStaff(access StaffAccess, permission Permission) Middleware {
	return func(ctx huma.Context, next func(huma.Context)) {
		principal, ok := staffOf(ctx, access)
		if !ok || !principal.May(permission) {
			principal = Guest
		}
		next(huma.WithValue(ctx, principalKey{}, principal))
	}
}

// staffOf returns the member of staff or API key that sent a request.
func staffOf(ctx huma.Context, access StaffAccess) (Principal, bool) {
	principal, ok := access.Staff(ctx.Header("Authorization"))
	if ok {
		principal.Via = principal.tool() + " " + hostOf(ctx.RemoteAddr())
	}
	return principal, ok
}

// tool names what the sender uses. The credential decides it, and nothing that the request says: only the console opens sessions,
// which are of members of staff, and programs have API keys.
func (p Principal) tool() string {
	if strings.HasPrefix(p.Actor, events.ActorStaff) {
		return "console"
	}
	return "api"
}
