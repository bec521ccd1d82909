// Package console serves the pages for staff under /ops, on a listener of its own: what is wrong first, then orders, events,
// replays, dead letters, payments, stock, mail, the parts of the system, and who did what.
//
// It promises that a page shows what is in the log and in the collections when it is read, that every action is an event with who,
// why and from where, that nothing which the console can do is missing in the commands of ops, and that no stored text becomes
// markup.
//
// Pages are rendered from html/template on the server and work without JavaScript, except that they then do not change while they
// are read. The scripts are small ES modules that need no build step. A session is a cookie with a token of the sign-in service;
// the console has no state besides counters that it computes from the log, and the results of long work that staff have started in it
// (work.go), so any number of consoles can serve one shop.
//
// The life of one page:
//
//	browser ──► session (cookie ─► api.Principal) ──► view (permission) ──► handler ──► render ──► layout + template
//	        └─► act (session, permission, same origin, reason) ──► event in the log ──► flash + redirect to the page
//	        └─► /ops/api ──► the same routes as for ops and scripts, with the session as the bearer token
//	        └─► /ops/live ──► Server-Sent Events
//
// Each group of pages registers its routes in its own file, such as orderRoutes; console.go lists them.
package console
