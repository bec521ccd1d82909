package replay

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"tillstream/events"
)

// ofAccounts describes the events of members of staff.
func ofAccounts(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.StaffAdded:
		return fmt.Sprintf("%s added as %s", p.Name, p.Role), true
	case events.StaffLinkMade:
		return "a one-time link made for " + p.Name, true
	case events.StaffJoined:
		return p.Name + " joined and set a password", true
	case events.StaffPasswordChanged:
		if p.Upgraded {
			return "password of " + p.Name + " sealed anew", true
		}
		return p.Name + " changed the password", true
	case events.StaffRoleChanged:
		return fmt.Sprintf("%s is %s, was %s", p.Name, p.Role, p.Before), true
	case events.StaffRemoved:
		return p.Name + " removed", true
	case events.AdminsChanged:
		return "admins: " + cmp.Or(strings.Join(p.Names, ", "), "none"), true
	}
	return ofAccess(e)
}

// ofAccess describes the events of sessions, second factors and API keys.
func ofAccess(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.StaffTOTPSet:
		return p.Name + " set up an authenticator app", true
	case events.StaffTOTPRemoved:
		return "authenticator app of " + p.Name + " removed", true
	case events.StaffSignedIn:
		return p.Name + " signed in", true
	case events.StaffSignedOut:
		return p.Name + " signed out", true
	case events.KeyMade:
		until := "does not expire"
		if p.Expires != nil {
			until = "until " + p.Expires.UTC().Format(time.DateTime)
		}
		return fmt.Sprintf("API key %s made, %s: %s", p.Name, until, strings.Join(p.Permissions, ", ")), true
	case events.KeyRevoked:
		return "API key " + p.Name + " revoked", true
	}
	return "", false
}
