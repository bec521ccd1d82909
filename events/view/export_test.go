package view

// For tests from outside.
var (
	CreateIndexes = createIndexes
	Useful        = useful
)
