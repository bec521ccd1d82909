// Package storefront is the shop window: what a shopper sees, on one origin with the API.
//
// It promises that the catalogue can be read and searched without JavaScript, that a double click or a reload makes one
// order and not two, that an order page tells the truth within a moment of it changing, and that no text from the
// catalogue or from a shopper can become markup.
//
// The idea: pages are html/template, rendered here; what a visitor alone knows (the cart, the access tokens of their
// orders) stays in their browser, so the storefront has no state and any number of replicas can serve one shop.
// A few small ES modules of our own do the rest against the same public API that everybody else may use.
//
// One seam leads to the domains: Config.API, an http.Handler. In the one-process shop it is the API's own mux; where
// every domain is its own process it is what [Proxy] returns. The pages read the catalogue through it as well.
//
//	browser ──► / /items /cart /checkout /orders ──► pages ──┐
//	        ──► /api /webhooks /ops ─────────────────────────┴─► Config.API ──► domains, or Proxy ──► their replicas
//
// The life of one purchase: item.js puts a line into the cart (store.js, localStorage); cart.js asks the API again for
// price and stock; checkout.js posts the order under an Idempotency-Key that belongs to exactly this body, keeps the
// access token and moves to /orders/{id}; order.js follows it (follow.js: Server-Sent Events over fetch, so that the
// token travels in a header and never in a URL) and offers payment with pay-sandbox.js or pay-element.js.
package storefront
