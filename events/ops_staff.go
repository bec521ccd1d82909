package events

import "time"

// StaffLink is a link with which a member of staff sets a password, once. The link has a token, of which the log has only the
// SHA-256.
type StaffLink struct {
	SHA256  string    `json:"sha256"` // of the token, in hexadecimal
	Expires time.Time `json:"expires"`
}

// StaffAdded: somebody may become a member of staff. The account can sign in after [StaffJoined].
//
// An account is one subject, PrefixStaff + name:
//
//	StaffAdded ──► invited ── StaffJoined ──► active ── StaffRemoved ──► removed ── StaffAdded ──► invited
//
// A link may be made at any time but after the removal, and sets a new password. Sessions begin with [StaffSignedIn].
type StaffAdded struct {
	Name        string    `json:"name"`
	DisplayName string    `json:"display_name,omitempty"`
	Role        string    `json:"role"`
	Link        StaffLink `json:"link"`
}

// EventType implements [Payload].
func (StaffAdded) EventType() string { return "ops.staff_added" }

// StaffLinkMade: a member of staff gets another link to set a password. Earlier links are no longer valid.
type StaffLinkMade struct {
	Name string    `json:"name"`
	Link StaffLink `json:"link"`
}

// EventType implements [Payload].
func (StaffLinkMade) EventType() string { return "ops.staff_link_made" }

// StaffJoined: a member of staff has set a password through a link. The link is used up, and all sessions end.
type StaffJoined struct {
	Name     string `json:"name"`
	Password string `json:"password"` // sealed argon2id hash; only the holders of the shop's secret can open it
}

// EventType implements [Payload].
func (StaffJoined) EventType() string { return "ops.staff_joined" }

// StaffPasswordChanged: a member of staff has a new password. All sessions end but one.
type StaffPasswordChanged struct {
	Name     string `json:"name"`
	Password string `json:"password"`          // as of [StaffJoined]
	Session  string `json:"session,omitempty"` // that goes on: the one in which the password was changed
	// Upgraded: the password is the same, with new parameters of the hash or sealed with a new secret. Every session goes on.
	Upgraded bool `json:"upgraded,omitempty"`
}

// EventType implements [Payload].
func (StaffPasswordChanged) EventType() string { return "ops.staff_password_changed" }

// StaffTOTPSet: a member of staff needs a code of an authenticator app (RFC 6238) to sign in, besides the password.
type StaffTOTPSet struct {
	Name   string `json:"name"`
	Secret string `json:"secret"` // sealed, as the password of [StaffJoined]
	Step   int64  `json:"step"`   // of the code that was used: neither it nor an earlier one is accepted again
}

// EventType implements [Payload].
func (StaffTOTPSet) EventType() string { return "ops.staff_totp_set" }

// StaffTOTPRemoved: a member of staff needs only the password to sign in.
type StaffTOTPRemoved struct {
	Name string `json:"name"`
}

// EventType implements [Payload].
func (StaffTOTPRemoved) EventType() string { return "ops.staff_totp_removed" }

// StaffRoleChanged: a member of staff has another role, at once and in all sessions.
type StaffRoleChanged struct {
	Name   string `json:"name"`
	Role   string `json:"role"`
	Before string `json:"before"`
}

// EventType implements [Payload].
func (StaffRoleChanged) EventType() string { return "ops.staff_role_changed" }

// StaffRemoved: the account no longer exists, nor do its sessions and links.
type StaffRemoved struct {
	Name string `json:"name"`
}

// EventType implements [Payload].
func (StaffRemoved) EventType() string { return "ops.staff_removed" }

// StaffSignedIn: a session of a member of staff has begun. The log has only the SHA-256 of the session's token.
type StaffSignedIn struct {
	Name      string    `json:"name"`
	Session   string    `json:"session"`
	SHA256    string    `json:"sha256"` // of the token, in hexadecimal
	Expires   time.Time `json:"expires"`
	UserAgent string    `json:"user_agent,omitempty"` // the first 200 characters
	Step      int64     `json:"step,omitempty"`       // of the code of the authenticator app, as in [StaffTOTPSet]
}

// EventType implements [Payload].
func (StaffSignedIn) EventType() string { return "ops.staff_signed_in" }

// StaffSignedOut: a session has ended before it expired.
type StaffSignedOut struct {
	Name    string `json:"name"`
	Session string `json:"session"`
}

// EventType implements [Payload].
func (StaffSignedOut) EventType() string { return "ops.staff_signed_out" }

// AdminsChanged: the accounts that can sign in as admin are others than before. The event is stored with the event of the account
// that changed, and makes concurrent changes conflict, so that the last admin stays.
type AdminsChanged struct {
	Names []string `json:"names"` // of all of them, sorted
}

// EventType implements [Payload].
func (AdminsChanged) EventType() string { return "ops.admins_changed" }

// KeyMade: there is an API key for programs. The log has only the SHA-256 of the key.
type KeyMade struct {
	Name        string     `json:"name"`
	Permissions []string   `json:"permissions"` // the scopes of the key
	SHA256      string     `json:"sha256"`      // of the key, in hexadecimal
	Expires     *time.Time `json:"expires,omitempty"`
}

// EventType implements [Payload].
func (KeyMade) EventType() string { return "ops.key_made" }

// KeyRevoked: an API key is no longer valid.
type KeyRevoked struct {
	Name string `json:"name"`
}

// EventType implements [Payload].
func (KeyRevoked) EventType() string { return "ops.key_revoked" }
