// Package architecture keeps the layout of the repository true: what may stand where, and who may import whom.
//
// The linter holds the same rules while one writes; here they hold in go test, without any tool. Every rule is a
// function from the sources to what is wrong with them, so that each is also shown a tree that breaks it.
//
//	domains         orders, inventory, payments and notifications know each other only by events
//	purity          decisions and entities import nothing that does I/O
//	programs        only cmd reads the environment, flags and signals; nothing imports cmd
//	stripe          one file speaks to Stripe, one hears it, the sandbox pretends to be it
//	servers, kits   what is embedded, and what only tests need, is in no program but cmd/shop and cmd/load's rig
//	deploy          names only metrics and settings that exist
//	tidiness        the top level, package names, no init, no sleeping tests, no traces of one machine
package architecture
