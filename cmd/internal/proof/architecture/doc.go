// Package architecture checks properties of the repository that the linter cannot check: the names at the top level, files named
// in lint rules, paths of one machine, retired names, repeated code, and that the documentation names only metrics, settings,
// tests and commands that exist. It also checks which packages each program links.
//
// The linter checks forbidden imports, functions and calls: see .golangci.yml.
//
//	Load ──► Tree ──► Rule.Check ──► what breaks the rule, one line each
//
// A rule is a function of the tree, so that a test can give it a tree that breaks it.
package architecture
