package staff

import (
	"fmt"
	"slices"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// adminsID is the id of the one entity of [Admins].
const adminsID = "shop"

// Admins is who can sign in as admin. It changes in the transaction that changes an account, so two admins who remove each other
// conflict: the second decision sees the first.
var Admins = eventlog.Entity[[]string]{Prefix: events.PrefixAdmins, LastOnly: true, Apply: func(_ []string, e events.Event) ([]string, error) {
	if p, ok := e.Payload.(events.AdminsChanged); ok {
		return p.Names, nil
	}
	return nil, fmt.Errorf("%w: %s of the admins", ErrCannotFollow, e.Type)
}}

// changeAdmins records that an account has become an admin who can sign in, or is none any more. It returns [ErrLastAdmin] if
// nobody else is.
func changeAdmins(tx *eventlog.Tx, before, after Account) error {
	if before.IsAdmin() == after.IsAdmin() {
		return nil
	}
	names, err := Admins.Load(tx, adminsID)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == after.Name })
	if after.IsAdmin() {
		names = append(names, after.Name)
	}
	if len(names) == 0 {
		return fmt.Errorf("%w: give another member of staff the role admin first, and wait until they have signed in", ErrLastAdmin)
	}
	slices.Sort(names)
	return Admins.Append(tx, adminsID, events.AdminsChanged{Names: names})
}
