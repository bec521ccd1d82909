// Package storefront serves the pages of the shop, on the same origin as its API.
//
// It promises that shoppers can browse and search the catalogue without JavaScript, that a double click or a reload at checkout
// places only one order, that an order page shows a change of the order within a second, and that no text from the catalogue
// or from a shopper becomes markup.
//
// Pages are rendered from html/template on the server. The cart and the access tokens of a shopper's orders stay in the
// browser, so the storefront has no state, and any number of replicas can serve one shop. A few ES modules, which need no build
// step, implement the cart, the checkout and the order page on top of the public API.
//
// [Config].API is the handler of the domains' API. In the one-process shop it is the API's own mux; where each domain runs in
// its own processes it is the handler that [Proxy] returns. The pages read the catalogue through it too.
//
//	browser ──► / /items /cart /checkout /orders ──► pages ──┐
//	        ──► /api /webhooks ──────────────────────────────┴─► Config.API ──► domains, or Proxy ──► their replicas
//
// The life of one purchase: item.js adds a line to the cart (store.js, localStorage). cart.js reads price and stock from
// the API again. checkout.js posts the order under an Idempotency-Key that belongs to exactly this body, saves the access
// token and goes to /orders/{id}. order.js follows the order (follow.js: Server-Sent Events over fetch, so that the token
// travels in a header and never in a URL) and takes the payment with pay-sandbox.js or pay-element.js.
package storefront
