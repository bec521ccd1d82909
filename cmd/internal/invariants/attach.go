package invariants

import (
	"context"

	"tillstream/cmd/internal/target"
)

// Attach opens what a check needs of a shop. What the shop does not have is skipped by the check, and the report says
// so. The caller calls close when the check is done.
func Attach(ctx context.Context, shop target.Shop) (options Options, close func(), err error) {
	reader, closeLog, err := shop.Log(ctx)
	if err != nil {
		return Options{}, nil, err
	}
	options = Options{Log: reader, Mail: shop.Mail, StripeURL: shop.Stripe, StripeKey: shop.StripeSecretKey}
	if shop.MongoDB == "" {
		return options, closeLog, nil
	}
	db, closeDB, err := shop.Database(ctx)
	if err != nil {
		closeLog()
		return Options{}, nil, err
	}
	options.DB = db
	return options, func() { closeDB(); closeLog() }, nil
}
