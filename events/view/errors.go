package view

import "errors"

var (
	// ErrMoved is returned by Rebuild when the view was written while it was compared: run it again.
	ErrMoved = errors.New("the view was written while it was held; run it again")
	// ErrRebuilding is returned by Rebuild when another one is at work on the view.
	ErrRebuilding = errors.New("another rebuild of this view is at work, or was killed less than a minute ago; run it again when that is over")
	// ErrNeverRan is returned by Rebuild when no process has ever kept the view on this broker.
	ErrNeverRan = errors.New("this view has never run on this broker")
)
