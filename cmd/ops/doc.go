// Command ops is the operators' terminal. It shows what happens in a running shop, checks the shop's promises, handles dead
// letters, repairs and rebuilds stored data, and writes and restores backups.
//
//	ops import-items FILE.csv   import the items of a sales ledger
//	ops orders                  list the newest orders
//	ops timeline ORDER          everything that happened to one order, causes before effects
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
//	ops verify                  check the invariants I1–I6 and I8
//
// The shop is found through --shop FILE (what cmd/shop --ready-file wrote), through addresses (--nats, --mongodb, --ops …),
// or through ./data/ready.json if neither is given. Only these commands change the shop: import-items, pause, resume,
// deadletters redrive, deadletters discard, redeliver, replays approve, replays stop, rebuild, repair --yes, topology --apply, void and restore.
//
// A command line is parsed into [commands]. The Run method of the selected command opens the shop through cmd/internal/target
// and reads it through events/replay. A [terminal] writes the answer to stdout, as text of at most 80 columns or as JSON, and
// everything else (progress, notes, errors) to stderr.
//
// Exit codes: 0 done, nothing is wrong; 1 done, something is wrong; 2 could not be done; 130 interrupted.
package main
