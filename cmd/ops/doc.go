// Command ops is the operators' terminal: it looks at a running shop, fills its shelves, checks its promises,
// mends its copies and backs it up.
//
//	ops import-items FILE.csv   list what a sales ledger knows
//	ops orders                  the newest orders
//	ops timeline ORDER          everything that happened to one order, causes first
//	ops tail                    events as they happen
//	ops lag                     how far each lane is behind, and which process runs it
//	ops deadletters             what lanes could not handle, counted by cause; redrive has it handled again, discard settles it
//	ops pause LANE …            stop lanes, or all projections, until resumed
//	ops resume LANE …           let them go on
//	ops rebuild PROJECTION      compare a projection with the log and mend what differs; --dry-run only compares
//	ops repair                  what log or archive have lost; --yes restores it
//	ops backup DIR              everything up to now, written to files while the shop sells
//	ops restore DIR             a backup, put into an empty installation
//	ops verify                  the promises I1–I6 and I8, checked over the living shop
//
// It finds the shop by --shop FILE (what cmd/shop --ready-file wrote), by addresses (--nats, --mongodb, --ops …), or by
// ./data/ready.json when nothing is given. It changes nothing but for import-items, which goes through the staff API,
// pause and resume, deadletters redrive and discard, topology --apply, void, rebuild, which writes projections, repair --yes, and restore.
//
// Exit codes: 0 done, and all is well; 1 done, and something is off; 2 could not be done; 130 interrupted.
package main
