// Package events is the vocabulary of the shop: one struct for every event that a domain can append, and the envelope around
// it. Domains never import each other; they share only this package.
//
// It promises three things. A payload struct is plain data without rules, and the package does no I/O. Every type and version
// has a golden sample in testdata, so a change that would make old events unreadable fails a test. And a reader always gets
// the newest version of a type: upcasters convert the older ones.
//
// The life of one event:
//
//	decide ──► Payload ──Encode──► CloudEvents headers + JSON ──JetStream──► Decode ──► Event{Payload} ──► Apply / handlers
//
// Streams, subjects, types and versions have a release number, the [Topology]. A program never acts on events of a newer
// topology ([ErrNewer]), and such events are written only when no older program runs. An optional field needs no new topology;
// a type or a version does.
//
// # Glossary
//
// Each of these words has one meaning, in code, messages and documentation.
//
//	event           a fact that is stored in the log; it is never changed
//	entity          what events are about: an order, a SKU's stock, a payment; one subject, one state
//	domain          the code that decides about one kind of entity: orders, inventory, payments, notifications
//	append, commit  to add facts to a transaction; to store all of them at once, or none
//	conflict        another writer changed the entity first; the decision runs again on the new state
//	sequence        an event's number in the log; revision: its number among the events of its entity
//	gap             sequences that the log lacks, which is damage
//	topology        what a release knows: streams, subjects, buckets, event types
//	void            an event that operators had every fold skip
//	worker          what handles events in a process; it has one reader of the log, and lanes
//	lane            one handler of events with a position of its own: decide, act, timer, project, archive, watch
//	cascade         the decisions that follow from one event, made in the same transaction
//	act             a call to the outside, such as Stripe or a mail server; its result is an event
//	deferred        an act that is tried again later; its destination works
//	circuit         open while a destination refuses every act; the lane then tries one from time to time
//	checkpoint      the stored position of a lane; lease: the right to run a lane, which expires
//	periodic job    a regular check behind a timer or a webhook, which may have been missed
//	dead letter     an event that a lane cannot handle: open, redriven or discarded
//	redrive         to have the lane handle a dead letter again; redelivery: the request for it
//	projection      a MongoDB collection computed from the log; rebuild: to compute it again
//	archive         the second copy of every event, in MongoDB; repair: to give each copy what it lacks
//	superseded      an archived event whose entity went on without it, after the log lost its end
//	reservation     stock held for an order: held, then released or committed
//	payment         one attempt to be paid for an order: authorized, captured, refunded; cancelled means never captured
//	catalogue       the items for sale; SKU: one item that has stock
//	failpoint       a named point in the code at which a test kills or stops the process
//	crash test      kills or stops a process at every failpoint in turn
package events
