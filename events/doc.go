// Package events is the vocabulary of the shop: one struct for every event that a domain can append, and the envelope around
// it. Domains never import each other; they share only this package.
//
// It promises three things. A payload struct is plain data without rules, and the package does no I/O. Every version of every
// event type has a golden sample in testdata, so a change that would make stored events unreadable fails a test. And [Decode]
// always returns the newest version of a type: upcasters convert the older ones.
//
// The life of one event:
//
//	decide ──► Payload ──Encode──► CloudEvents headers + JSON ──JetStream──► Decode ──► Event{Payload} ──► Apply / handlers
//
// The streams, subjects, event types and their versions have one common version number, the [Topology]. A program never handles
// events of a newer topology than its own ([ErrNewer]), and such events are appended only while no older program runs. A new
// type or a new version of a type needs a new topology; an optional field does not.
//
// # Glossary
//
// Each of these words has one meaning, in code, messages and documentation.
//
//	event           a fact that is stored in the log; it is never changed
//	fact            the content of an event; in a transaction, an event that is not stored yet
//	entity          the object that events are about: an order, a SKU's stock, a payment; it has one subject
//	fold            to apply the events of an entity in order; the result is the state of the entity
//	domain          the code that decides about one kind of entity: orders, inventory, payments, notifications
//	append          to add facts to a transaction; commit: to store all of them at once, or none
//	conflict        another writer changed the entity first; the decision runs again on the new state
//	sequence        the number of an event in the log; revision: its number among the events of its entity
//	gap             sequences that the log lacks before its end, which is damage
//	topology        the streams, subjects, buckets and event types of a release, with a version number
//	void            of an event: operators declared that every fold skips it
//	worker          the part of a process that handles events; it has one reader of the log, and lanes
//	lane            one handler of events with a position of its own: decide, act, timer, project, archive, watch
//	cascade         the decisions that follow from one event, made in the same transaction
//	act             a call to another system, such as Stripe or a mail server; its result is an event
//	deferred        of an act: it is tried again later, although its destination works
//	circuit         open while a destination refuses every act; the lane then tries one from time to time
//	checkpoint      the stored position of a lane; lease: the right to run a lane, which expires
//	periodic job    a check at intervals for what a timer or a webhook has missed
//	dead letter     an event that a lane cannot handle: open, redriven or discarded
//	redrive         to have the lane handle a dead letter again; redelivery: the request for it
//	projection      a MongoDB collection computed from the log; rebuild: to compute it again
//	archive         the second copy of every event, in MongoDB; repair: to give each copy what it lacks
//	superseded      an archived event that the log lost and does not get back, because its entity has newer events
//	reservation     stock held for an order: held, then released or committed
//	payment         one attempt to be paid for an order: authorized, captured, refunded; cancelled means never captured
//	catalogue       the items for sale; SKU: one item that has stock
//	failpoint       a named point in the code at which a test can kill or stop the process
//	crash test      a test that kills or stops a process at every failpoint in turn
package events
