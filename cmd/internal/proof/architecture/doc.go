// Package architecture checks properties of the repository that the linter cannot check: the names at the top level, files named
// in lint rules, paths that exist only on one machine, names that were replaced, repeated code, and documentation that names
// metrics, settings, tests or commands that do not exist. It also checks which packages each program links.
//
// The linter checks forbidden imports, functions and calls: see .golangci.yml.
//
//	Load ──► Tree ──► Rule.Check ──► what breaks the rule, one line each
//
// A rule is a function of the tree, so that a test can give it a tree that breaks it.
package architecture
