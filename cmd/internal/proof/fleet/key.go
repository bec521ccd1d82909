package fleet

import (
	"context"
	"fmt"

	"tillstream/cmd/internal/staff"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/api"
)

// KeepKey makes the API key of a shop's address valid, with every permission. The streams of the shop must exist.
func KeepKey(ctx context.Context, shop target.Shop) error {
	reader, done, err := shop.Log(ctx)
	if err != nil {
		return err
	}
	defer done()
	service, err := staff.New(staff.Config{Directory: staff.NewDirectory(reader.Log()), Log: reader.Log()})
	if err != nil {
		return err
	}
	key := staff.NewAPIKey{Name: "local", Permissions: api.Permissions()}
	if _, err := service.KeepKey(ctx, key, shop.OpsKey, events.Author{Reason: "key of a test shop"}); err != nil {
		return fmt.Errorf("make the API key of the shop: %w", err)
	}
	return nil
}
