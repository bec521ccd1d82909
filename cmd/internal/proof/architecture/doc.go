// Package architecture checks properties of the repository that no linter checks: the top level, files that lint rules
// name, paths of one machine, retired names, and that the documentation names metrics, settings, tests and commands that
// exist. It also lists what each program links.
//
// Imports, functions and calls that are forbidden somewhere stand in .golangci.yml.
//
// Every rule is a function from the tree to what is wrong with it, so a test can give it a tree that breaks the rule.
package architecture
