package archive

import "context"

// PutHead writes a head, as a writer at another position does.
func (a *Archive) PutHead(ctx context.Context, head Head) error { return a.putHead(ctx, head) }
