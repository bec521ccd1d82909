// Package target is how tools find a running shop and connect to it.
//
// A shop that runs in one process says where everything is in a ready file; of a shop in many processes each address is
// given by itself. A tool embeds [Target] in its flags, calls [Target.Resolve], and opens of the [Shop] what it needs:
//
//	flags, environment ─┐
//	ready file ─────────┴─ Resolve ─► Shop ─┬─ Log       the log, for reading
//	                                        ├─ Database  projections and archive
//	                                        ├─ Secrets   of a shop in one process
//	                                        └─ addresses of the storefront, mailbox, Stripe, staff API
//
// It promises to change nothing in what it connects to: a broker without a shop is an error, not an occasion to make one. The
// exceptions say so by their names: MakeLog and KeepSecrets, for a backup that is put back.
package target
