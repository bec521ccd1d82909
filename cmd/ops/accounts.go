package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tillstream/cmd/internal/staff"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
)

// staffCommand is ops staff.
type staffCommand struct {
	List    listStaffCommand    `cmd:"" default:"withargs" help:"List the members of staff."`
	Add     addStaffCommand     `cmd:"" help:"Add a member of staff, and show the link for the first sign-in."`
	Link    linkStaffCommand    `cmd:"" help:"Show another link to set a password."`
	Role    roleStaffCommand    `cmd:"" help:"Give a member of staff another role."`
	SignOut signOutStaffCommand `cmd:"" name:"signout" help:"End every session of a member of staff."`
	TOTP    totpStaffCommand    `cmd:"" name:"totp" help:"Remove the authenticator app of a member of staff."`
	Remove  removeStaffCommand  `cmd:"" help:"Remove a member of staff: sessions and links end at once."`
}

// staffChange has the flags of the commands that change an account.
type staffChange struct {
	target.Target `embed:""`
	Name          string `arg:"" help:"Name of the account: 1 to 40 of lower-case letters, digits and -."`
	Reason        string `help:"Why. Required; it is stored with the change." required:"" placeholder:"TEXT"`
	JSON          bool   `name:"json" help:"Write the result as JSON."`
}

// registry is what the commands about staff and keys work with.
type registry struct {
	shop    target.Shop
	reader  *replay.Reader
	service *staff.Service
}

// openRegistry opens the log of a shop and reads its accounts and keys. The caller calls stop when done.
func openRegistry(ctx context.Context, flags target.Target) (r registry, stop func(), err error) {
	if r.shop, err = flags.Resolve(); err != nil {
		return r, nil, err
	}
	if r.reader, stop, err = r.shop.Log(ctx); err != nil {
		return r, nil, err
	}
	directory := staff.NewDirectory(r.reader.Log())
	if err = directory.Load(ctx); err == nil {
		r.service, err = staff.New(staff.Config{Directory: directory, Log: r.reader.Log()})
	}
	if err != nil {
		stop()
		return r, nil, err
	}
	return r, stop, nil
}

// author returns who changes accounts or keys.
func (r registry) author(ctx context.Context, reason string) (events.Author, error) {
	return r.shop.Author(ctx, r.reader, api.ManageStaff, reason)
}

// founder returns the author of a change by which somebody with access to the broker gets into a shop. The audit says that it was
// the system, without an API key.
func founder(reason, how string) (events.Author, error) {
	via, err := target.Via()
	return events.Author{Reason: reason + " (" + how + ")", Via: via}, err
}

// addStaffCommand is ops staff add.
type addStaffCommand struct {
	staffChange `embed:""`
	consoleFlag `embed:""`
	Role        string `help:"What the account may do: viewer, operator or admin." enum:"viewer,operator,admin" required:""`
	DisplayName string `help:"Name of the person." placeholder:"TEXT"`
}

// Help is shown by ops staff add --help.
func (addStaffCommand) Help() string {
	return `The answer has a link with which the new member of staff sets a password. It works once and for seven days. Send it to them yourself, by a way that only they read.

Examples:
  ops staff add mira --role operator --reason "new in support"

The roles: a viewer sees everything and changes nothing; an operator also changes items and stock, pauses lanes, settles dead letters and runs replays; an admin also repairs data and manages staff.

This needs an API key with the permission staff:write. As long as nobody can sign in as admin, an account with the role admin can be added without one, by whoever has the broker's password of ops; the audit says so.`
}

// Run adds an account.
func (c *addStaffCommand) Run(ctx context.Context, out *terminal) error {
	r, stop, err := openRegistry(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	author, err := c.author(ctx, r)
	if err != nil {
		return err
	}
	link, err := r.service.Add(ctx, staff.Addition{Name: c.Name, DisplayName: c.DisplayName, Role: api.Role(c.Role)}, author)
	if err != nil {
		return err
	}
	return c.writeLink(r.shop, c.Name, link, c.JSON, out)
}

func (c *addStaffCommand) author(ctx context.Context, r registry) (events.Author, error) {
	if r.shop.OpsKey == "" && c.Role == string(api.Admin) && !r.service.Directory().HasAdmin() {
		return founder(c.Reason, "nobody could sign in as admin")
	}
	return r.author(ctx, c.Reason)
}

// linkStaffCommand is ops staff link.
type linkStaffCommand struct {
	staffChange `embed:""`
	consoleFlag `embed:""`
	Recover     bool `help:"Without an API key, for a shop that nobody can get into."`
}

// Help is shown by ops staff link --help.
func (linkStaffCommand) Help() string {
	return `For a member of staff who has lost the first link, or the password. Earlier links no longer work; the password and the sessions stay until the link is used.

Examples:
  ops staff link mira --reason "forgot the password"

This needs an API key with the permission staff:write. With --recover it needs none: whoever has the broker's password of ops can get into the shop in this way, and the audit says that it was done so. Keep that password as you keep the key to the shop.`
}

// Run makes a link.
func (c *linkStaffCommand) Run(ctx context.Context, out *terminal) error {
	r, stop, err := openRegistry(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	author, err := founder(c.Reason, "recovered with access to the broker")
	if !c.Recover {
		author, err = r.author(ctx, c.Reason)
	}
	if err != nil {
		return err
	}
	link, err := r.service.Link(ctx, c.Name, author)
	if err != nil {
		return err
	}
	return c.writeLink(r.shop, c.Name, link, c.JSON, out)
}

// consoleFlag says where the links lead to.
type consoleFlag struct {
	Console string `help:"Address at which staff reach the console; the link leads there. Default: that of the shop's ready file, or http://127.0.0.1:8090." env:"OPS_PUBLIC_URL" placeholder:"URL"`
}

// writeLink shows a link, once.
func (c consoleFlag) writeLink(shop target.Shop, name string, link staff.Link, asJSON bool, out *terminal) error {
	address := link.Address(strings.TrimRight(cmp.Or(c.Console, strings.TrimSuffix(shop.Console, "/ops"), "http://127.0.0.1:8090"), "/"))
	return out.answer(asJSON, map[string]any{"name": name, "link": address, "expires": link.Expires}, func() error {
		out.note("for %s, once, until %s:", name, link.Expires.Local().Format(minutes))
		return out.printf("%s", address)
	}, false)
}

// roleStaffCommand is ops staff role.
type roleStaffCommand struct {
	staffChange `embed:""`
	Role        string `arg:"" help:"viewer, operator or admin." enum:"viewer,operator,admin"`
}

// Help is shown by ops staff role --help.
func (roleStaffCommand) Help() string {
	return `The role counts at once, in open sessions too. The last admin keeps the role.

Examples:
  ops staff role mira viewer --reason "moved to another team"`
}

// Run changes a role.
func (c *roleStaffCommand) Run(ctx context.Context, out *terminal) error {
	return c.change(ctx, out, fmt.Sprintf("%s has the role %s", c.Name, c.Role), func(s *staff.Service, author events.Author) error {
		return s.ChangeRole(ctx, c.Name, api.Role(c.Role), author)
	})
}

// removeStaffCommand is ops staff remove.
type removeStaffCommand struct {
	staffChange `embed:""`
}

// Help is shown by ops staff remove --help.
func (removeStaffCommand) Help() string {
	return `Sessions and links of the account end in every process within a second. The last admin cannot be removed. API keys that the member of staff has made stay: ops keys list shows them.

Examples:
  ops staff remove mira --reason "left the company"`
}

// Run removes an account.
func (c *removeStaffCommand) Run(ctx context.Context, out *terminal) error {
	return c.change(ctx, out, c.Name+" is removed", func(s *staff.Service, author events.Author) error { return s.Remove(ctx, c.Name, author) })
}

// change changes an account or a key, and says what is so now.
func (c *staffChange) change(ctx context.Context, out *terminal, done string, change func(*staff.Service, events.Author) error) error {
	if err := c.with(ctx, change); err != nil {
		return err
	}
	return out.answer(c.JSON, map[string]any{"name": c.Name, "done": done}, func() error { return out.printf("%s", done) }, false)
}

// with makes a change on behalf of the API key of the flags.
func (c *staffChange) with(ctx context.Context, change func(*staff.Service, events.Author) error) error {
	r, stop, err := openRegistry(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	author, err := r.author(ctx, c.Reason)
	if err != nil {
		return err
	}
	return change(r.service, author)
}

// listStaffCommand is ops staff list.
type listStaffCommand struct {
	target.Target `embed:""`
	All           bool `help:"List removed accounts too."`
	JSON          bool `name:"json" help:"Write the list as JSON."`
}

// Help is shown by ops staff list --help.
func (listStaffCommand) Help() string {
	return `CODE says whether the account has an authenticator app; SESSIONS is how often it is signed in now.

Examples:
  ops staff
  ops staff list --all --json`
}

// accountRow is one account as ops staff list --json writes it.
type accountRow struct {
	Name        string       `json:"name"`
	DisplayName string       `json:"display_name,omitempty"`
	Role        api.Role     `json:"role"`
	Status      staff.Status `json:"status"`
	TOTP        bool         `json:"totp"`
	SignedIn    *time.Time   `json:"signed_in,omitempty"`
	Sessions    int          `json:"sessions"`
}

// Run lists accounts.
func (c *listStaffCommand) Run(ctx context.Context, out *terminal) error {
	r, stop, err := openRegistry(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	rows := []accountRow{}
	for _, a := range r.service.Directory().Accounts() {
		if a.Exists() || c.All {
			rows = append(rows, rowOf(a, time.Now()))
		}
	}
	return out.answer(c.JSON, map[string]any{"staff": rows}, func() error { return writeAccounts(rows, out) }, false)
}

func rowOf(a staff.Account, now time.Time) accountRow {
	row := accountRow{Name: a.Name, DisplayName: a.DisplayName, Role: a.Role, Status: a.Status, TOTP: a.HasTOTP(), SignedIn: timeOrNil(a.SignedIn)}
	for _, s := range a.Sessions {
		if now.Before(s.Expires) {
			row.Sessions++
		}
	}
	return row
}

func timeOrNil(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

func writeAccounts(rows []accountRow, out *terminal) error {
	if len(rows) == 0 {
		return errors.Join(out.printf("no staff"), out.printf("next: ops staff add NAME --role admin --reason TEXT"))
	}
	t := newTable("NAME", "ROLE", "STATUS", "CODE", "SIGNED IN", "SESSIONS>", "PERSON")
	for _, a := range rows {
		t.add(cell{a.Name, bold}, string(a.Role), string(a.Status), yesNo(a.TOTP), timeText(a.SignedIn, "never"), fmt.Sprint(a.Sessions), a.DisplayName)
	}
	return t.write(out)
}

func timeText(at *time.Time, otherwise string) string {
	if at == nil {
		return otherwise
	}
	return at.Local().Format(minutes)
}
