// Package events is the language of the shop: every fact that a domain can state, and the envelope that carries it.
//
// It promises three things. A payload struct is plain data: no methods that decide, no dependencies beyond the standard
// library and the JSON codec. Every type and version has a golden sample in testdata, so a change that would make old
// events unreadable fails a test. And what is read is always the newest version: older ones are lifted by the upcasters
// in the catalogue.
//
// The life of one fact:
//
//	decide ──► Payload ──Encode──► CloudEvents headers + JSON ──JetStream──► Decode ──► Event{Payload} ──► Evolve / handlers
//
// What a release adds has a number, the [Topology]. A program that knows less never acts on what it does not know ([ErrNewer]), and
// what only newer programs know is written once no older one runs. A new field that may be left out needs no new number; a type
// or a version does.
//
// Domains never import each other; they meet here.
package events
