// Command ops is the operators' terminal. Alone, it shows what is wrong now. It shows what happens in a running shop, checks the shop's promises, handles dead
// letters, repairs and rebuilds stored data, and writes and restores backups.
//
//	ops                         what is wrong now, and all commands
//	ops import-items FILE.csv   import the items of a sales ledger
//	ops orders                  list the newest orders
//	ops order ORDER             one order: lines, money, messages, what is wrong, what to do next
//	ops cancel ORDER            cancel an order that is not paid yet
//	ops mail ORDER              what the mails about an order say
//	ops payments                list payments
//	ops item SKU                show an item, change it, or list a new one
//	ops timeline ORDER          everything that happened to one order, causes before effects
//	ops at ENTITY MOMENT        the state of an order, a payment, a SKU … at a moment; --all MOMENT --out DIR of the whole shop
//	ops diff ENTITY A B         what changed between two moments
//	ops tail                    events as they are appended
//	ops lag                     how far each lane is behind, and which process runs it
//	ops deadletters             events that lanes could not handle: list, show, redrive, discard
//	ops redeliver               have lanes handle events again; --dry-run shows what they would do
//	ops replays                 replays: list, show, approve, stop
//	ops pause LANE …            stop lanes, or all projections, until they are resumed
//	ops resume LANE …           end a pause
//	ops rebuild PROJECTION      compare a projection with the log and write what differs; --dry-run only compares
//	ops repair                  compare log and archive; --yes restores what either lacks
//	ops topology                compare the broker with what this release needs; --apply adds it
//	ops void SEQUENCE           make every process skip an event
//	ops backup DIR              write a backup while the shop sells
//	ops restore DIR             restore a backup into an empty installation
//	ops staff                   members of staff: list, add, link, role, signout, totp, remove
//	ops keys                    API keys of programs: list, add, revoke
//	ops audit                   what staff and API keys did: when, who, why and from where
//	ops stock SKU               the stock ledger of a SKU, or the stock of all items
//	ops adjust SKU              correct the stock of a SKU
//	ops verify                  check the invariants I1–I6, I8 and I9; --at MOMENT as the shop was then
//	ops completion SHELL        the script that completes commands in bash, zsh or fish
//
// The shop is found through --shop FILE (what cmd/shop --ready-file wrote), through addresses (--nats, --mongodb, --ops …),
// or through ./data/ready.json if neither is given. What a command changes is an event that ops audit shows, with who, why and from
// where.
//
// A command line is parsed into [commands]. The Run method of the selected command opens the shop through cmd/internal/target
// and reads it through events/replay. A [terminal] writes the answer to stdout, as text of at most 80 columns (any width with --wide), as JSON or, for lists, as CSV, and
// everything else (progress, notes, errors) to stderr.
//
// What is stored in the shop may come from an attacker. Every way to write to a [terminal] therefore writes control characters,
// changes of the writing direction and invisible characters as escapes, in JSON too.
//
// Exit codes: 0 done, nothing is wrong; 1 done, something is wrong; 2 could not be done; 130 interrupted.
package main
