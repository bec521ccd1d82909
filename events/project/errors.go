package project

import "errors"

// ErrNeverRan is returned by Rebuild when no process has ever kept the projection on this broker.
var ErrNeverRan = errors.New("this projection has never run on this broker")
