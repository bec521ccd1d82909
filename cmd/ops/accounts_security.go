package main

import (
	"context"

	"tillstream/cmd/internal/staff"
	"tillstream/events"
)

// signOutStaffCommand is ops staff signout.
type signOutStaffCommand struct {
	staffChange `embed:""`
}

// Help is shown by ops staff signout --help.
func (signOutStaffCommand) Help() string {
	return `Every browser in which the account is signed in must sign in again.

Examples:
  ops staff signout mira --reason "laptop lost"`
}

// Run ends sessions.
func (c *signOutStaffCommand) Run(ctx context.Context, out *terminal) error {
	return c.change(ctx, out, "the sessions of "+c.Name+" are ended", func(s *staff.Service, author events.Author) error { return s.SignOutAll(ctx, c.Name, author) })
}

// totpStaffCommand is ops staff totp.
type totpStaffCommand struct {
	staffChange `embed:""`
}

// Help is shown by ops staff totp --help.
func (totpStaffCommand) Help() string {
	return `For somebody who has lost the device: the next sign-in needs the password alone. The account can then set up another app.

Examples:
  ops staff totp mira --reason "new telephone"`
}

// Run removes an authenticator app.
func (c *totpStaffCommand) Run(ctx context.Context, out *terminal) error {
	return c.change(ctx, out, c.Name+" signs in without a code", func(s *staff.Service, author events.Author) error { return s.RemoveTOTP(ctx, c.Name, author) })
}
