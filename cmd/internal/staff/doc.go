// Package staff says who works in the shop: accounts of people, their sessions, and API keys of programs.
//
// It promises that a credential works in every process milliseconds after it was made and stops working milliseconds after it was
// taken away; that the log has no password, token or key in clear; and that the shop never loses its last admin.
//
// Everything is in the log. An account is an entity on ops.staff.<name>, an API key one on ops.keys.<name>:
//
//	Service: decide ──► ops.staff.mira, ops.keys.backup ──► Directory of every process ──► api.StaffAccess
//	  sign in, add, remove, make a key …                      in memory, follows the log      who sent this request?
//
// A [Directory] needs only to read the log. A [Service] appends to it as the domain ops, and needs the shop's secret where
// passwords or codes are involved: their hashes and secrets are sealed with it, because the archive and backups copy the log.
// Tokens of sessions and links, and API keys, are random, so the log has their SHA-256 only.
//
// Passwords are hashed with argon2id. A second factor is a code of an authenticator app (RFC 6238), which is accepted once in the
// whole shop, because the step of the code is part of the event that it leads to.
package staff
