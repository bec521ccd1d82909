package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tillstream/cmd/internal/staff"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/api"
)

// keysCommand is ops keys.
type keysCommand struct {
	List   listKeysCommand  `cmd:"" default:"withargs" help:"List the API keys."`
	Add    addKeyCommand    `cmd:"" help:"Make an API key and show it, once."`
	Revoke revokeKeyCommand `cmd:"" help:"Revoke an API key at once."`
}

// addKeyCommand is ops keys add.
type addKeyCommand struct {
	staffChange `embed:""`
	Permissions []string      `help:"What the key may do, separated by commas; see --help." placeholder:"PERMISSION"`
	Role        string        `help:"Instead: everything that a role may do: viewer, operator or admin." enum:",viewer,operator,admin" default:"" placeholder:"ROLE"`
	ExpiresIn   time.Duration `help:"How long the key works; 0: until it is revoked." default:"8760h" placeholder:"DURATION"`
}

// Help is shown by ops keys add --help.
func (addKeyCommand) Help() string {
	names := make([]string, 0, len(api.Permissions()))
	for _, p := range api.Permissions() {
		names = append(names, string(p))
	}
	return `Programs send the key as a bearer token to the staff API; ops and load take it from --ops-key or OPS_KEY. The log has only its SHA-256, so it is shown once.

Examples:
  ops keys add prometheus --permissions metrics:read --reason "scrapes it"
  ops keys add oncall --role operator --expires-in 2160h --reason "night duty"

The permissions: ` + strings.Join(names, ", ") + `.`
}

// Validate is called by kong when the command line is read.
func (c *addKeyCommand) Validate() error {
	switch {
	case c.ExpiresIn < 0:
		return fmt.Errorf("--expires-in %s: want 0 or more", c.ExpiresIn)
	case (len(c.Permissions) == 0) == (c.Role == ""):
		return errors.New("pass either --permissions or --role")
	}
	return nil
}

// wanted returns the key to make.
func (c *addKeyCommand) wanted(now time.Time) staff.NewAPIKey {
	key := staff.NewAPIKey{Name: c.Name, Permissions: api.Role(c.Role).Permissions()}
	for _, p := range c.Permissions {
		key.Permissions = append(key.Permissions, api.Permission(strings.TrimSpace(p)))
	}
	if c.ExpiresIn > 0 {
		key.Expires = now.Add(c.ExpiresIn)
	}
	return key
}

// Run makes a key.
func (c *addKeyCommand) Run(ctx context.Context, out *terminal) error {
	wanted, key := c.wanted(time.Now()), ""
	err := c.with(ctx, func(s *staff.Service, author events.Author) (err error) {
		key, err = s.MakeKey(ctx, wanted, author)
		return err
	})
	if err != nil {
		return err
	}
	result := map[string]any{"name": c.Name, "key": key, "permissions": wanted.Permissions, "expires": timeOrNil(wanted.Expires)}
	return out.answer(c.JSON, result, func() error {
		out.note("API key %s, valid until %s; keep it now, it is not shown again:", c.Name, timeText(timeOrNil(wanted.Expires), "it is revoked"))
		return out.printf("%s", key)
	}, false)
}

// revokeKeyCommand is ops keys revoke.
type revokeKeyCommand struct {
	staffChange `embed:""`
}

// Help is shown by ops keys revoke --help.
func (revokeKeyCommand) Help() string {
	return `Every process refuses the key within a second.

Examples:
  ops keys revoke oncall --reason "it was in a chat"`
}

// Run revokes a key.
func (c *revokeKeyCommand) Run(ctx context.Context, out *terminal) error {
	return c.change(ctx, out, "API key "+c.Name+" is revoked", func(s *staff.Service, author events.Author) error { return s.RevokeKey(ctx, c.Name, author) })
}

// listKeysCommand is ops keys list.
type listKeysCommand struct {
	target.Target `embed:""`
	All           bool `help:"List revoked keys too."`
	JSON          bool `name:"json" help:"Write the list as JSON."`
}

// Help is shown by ops keys list --help.
func (listKeysCommand) Help() string {
	return `For each key: whether it is valid, until when, when it was last used, to the hour, who made it, and what it may do. The keys themselves cannot be shown: the log has only their SHA-256.

Examples:
  ops keys
  ops keys list --all --json`
}

// keyRow is one API key as ops keys list --json writes it.
type keyRow struct {
	Name        string           `json:"name"`
	State       string           `json:"state"` // valid, expired or revoked
	Permissions []api.Permission `json:"permissions"`
	Made        time.Time        `json:"made"`
	MadeBy      string           `json:"made_by"`
	Expires     *time.Time       `json:"expires,omitempty"`
	LastUsed    *time.Time       `json:"last_used,omitempty"` // to the hour
}

// Run lists keys.
func (c *listKeysCommand) Run(ctx context.Context, out *terminal) error {
	r, stop, err := openRegistry(ctx, c.Target)
	if err != nil {
		return err
	}
	defer stop()
	used, unread := r.service.Directory().LastUses(ctx)
	if unread != nil {
		out.note("when the keys were last used is not known: %v", unread)
	}
	rows := []keyRow{}
	for _, k := range r.service.Directory().Keys() {
		if k.Exists() || c.All {
			rows = append(rows, keyRow{Name: k.Name, State: stateOf(k, time.Now()), Permissions: k.Permissions, Made: k.Made, MadeBy: k.MadeBy, Expires: timeOrNil(k.Expires), LastUsed: timeOrNil(used[k.Name])})
		}
	}
	return out.answer(c.JSON, map[string]any{"keys": rows}, func() error { return writeKeys(rows, unread == nil, out) }, false)
}

func stateOf(k staff.Key, now time.Time) string {
	switch {
	case k.Revoked:
		return "revoked"
	case k.Expired(now):
		return "expired"
	}
	return "valid"
}

func writeKeys(rows []keyRow, usesKnown bool, out *terminal) error {
	if len(rows) == 0 {
		return out.printf("no API keys")
	}
	t := newTable("NAME", "STATE", "EXPIRES", "LAST USED", "MADE BY", "PERMISSIONS")
	for _, k := range rows {
		state := cell{k.State, green}
		if k.State != "valid" {
			state.style = red
		}
		used := timeText(k.LastUsed, "never")
		if !usesKnown {
			used = "not known"
		}
		t.add(cell{k.Name, bold}, state, timeText(k.Expires, "never"), used, k.MadeBy, permissionsText(k.Permissions))
	}
	return t.write(out)
}

// permissionsText lists permissions, or names the role that has the same ones.
func permissionsText(permissions []api.Permission) string {
	names := make([]string, len(permissions))
	for i, p := range permissions {
		names[i] = string(p)
	}
	text := strings.Join(names, " ")
	for _, role := range api.Roles {
		if text == strings.Trim(fmt.Sprint(role.Permissions()), "[]") {
			return "all of " + string(role)
		}
	}
	return text
}
