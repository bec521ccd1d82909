// Package lookup reads what staff type into a search box, or after a command of ops: an order number, an id, an e-mail address, a
// name, a status, a date. It promises that the spelling does not matter. Staff copy numbers out of mails with blanks and hyphens in
// other places, and type what customers say on the telephone: letter O for 0, lower case, a name without its accents.
//
//	"# 8f3k2 mqd7a" ──► Parse ──► Query{Number: "8F3K2-MQD7A", Words: …}
//
// A text can be read in several ways: "Alexandria" is a name, and it may be an order number. [Query] has every reading. First the
// readings that identify one thing are looked up (number, id, Stripe id, event, sequence); if there is no such thing, the text is
// a search for orders by words, statuses and dates. [Fold] makes texts comparable and is applied to both sides of a comparison.
//
// The package does no I/O and knows no domain, so that the orders domain, the console and the command line read a text alike.
package lookup
