package archive

import "context"

// PutHead writes a head, as a writer does that has come to another place.
func (a *Archive) PutHead(ctx context.Context, head Head) error { return a.putHead(ctx, head) }
