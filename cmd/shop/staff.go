package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillstream/cmd/internal/auth"
	"tillstream/cmd/internal/staff"
	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
)

// firstAdmin is the account that the first start adds. localKey is the API key of the tools on this machine.
const (
	firstAdmin = "admin"
	localKey   = "local"
)

// openStaff reads who staff are, and prepares the changes of that.
func (sh *shop) openStaff(ctx context.Context, tokens *auth.Tokens) (err error) {
	sh.directory = staff.NewDirectory(sh.log)
	sh.access = auth.Access{Tokens: tokens, StaffAccess: sh.directory}
	sh.staff, err = staff.New(staff.Config{Directory: sh.directory, Log: sh.log.ForDomain("ops"), Registerer: sh.registry, Secrets: sh.servers.secrets.TokenSecret})
	if err != nil {
		return err
	}
	return sh.directory.Load(ctx)
}

// invitation is how staff get into the console.
type invitation struct {
	link    staff.Link // of the first admin; only the start that adds the account has it
	pending bool       // nobody can sign in as admin yet
}

// A shop looks every upgradePoll whether the processes of an older release have ended, and warns after upgradeTries that it waits.
const (
	upgradePoll  = 100 * time.Millisecond
	upgradeTries = 20
)

// keepStaff is tryKeepStaff at the time when every running process knows the events of staff. A shop that opens the data of an older
// release may write such events only once it has checked that no process of that release runs.
func (sh *shop) keepStaff(ctx context.Context) (invitation, error) {
	ticker := time.NewTicker(upgradePoll)
	defer ticker.Stop()
	for tries := 1; ; tries++ {
		i, err := sh.tryKeepStaff(ctx)
		if !errors.Is(err, eventlog.ErrUpgradeInProgress) {
			return i, err
		}
		if tries == upgradeTries {
			sh.logger.Warn("shop sells, but is not ready for staff until every process of an older release has ended", "reason", err)
		}
		select {
		case <-ctx.Done():
			return invitation{}, ctx.Err()
		case <-ticker.C:
		}
	}
}

// tryKeepStaff makes the key of the tools on this machine known and, at the first start, adds the first admin.
func (sh *shop) tryKeepStaff(ctx context.Context) (invitation, error) {
	key := staff.NewAPIKey{Name: localKey, Permissions: api.Admin.Permissions()}
	if _, err := sh.staff.KeepKey(ctx, key, sh.servers.secrets.OpsKey, events.Author{Reason: "key of the tools on this machine"}); err != nil {
		return invitation{}, fmt.Errorf("keep the API key %s: %w", localKey, err)
	}
	if len(sh.directory.Accounts()) > 0 {
		return invitation{pending: !sh.directory.HasAdmin()}, nil
	}
	link, err := sh.staff.Add(ctx, staff.Addition{Name: firstAdmin, Role: api.Admin}, events.Author{Reason: "first start"})
	if errors.Is(err, staff.ErrExists) {
		return invitation{pending: true}, nil
	}
	return invitation{link: link, pending: true}, err
}

// describe returns the line about the console at an origin.
func (i invitation) describe(console string) string {
	switch {
	case i.link.Token != "":
		return fmt.Sprintf("%s/ops  — first sign-in, within 7 days:\n    %s", console, i.link.Address(console))
	case i.pending:
		return fmt.Sprintf("%s/ops  — nobody has signed in as admin yet:\n    ops staff link %s --reason TEXT makes another link", console, firstAdmin)
	}
	return console + "/ops"
}
