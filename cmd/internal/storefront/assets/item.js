import { $, el } from './dom.js';
import { addToCart, cart } from './store.js';

const form = $('add'), said = $('said');

function add(event) {
  event.preventDefault();
  const { sku, title, amount, currency, picture, available } = form.dataset;
  const quantity = form.elements.quantity.valueAsNumber, stock = Number(available);
  const had = cart().find((line) => line.sku === sku)?.quantity ?? 0;
  if (had + quantity > stock) {
    said.textContent = had ? `There are ${stock}, and ${had} of them are in your cart already.` : `There are only ${stock}.`;
    return;
  }
  addToCart({ sku, title, quantity, picture, price: { amount: Number(amount), currency } });
  said.replaceChildren(`${quantity} in your cart. `, el('a', { href: '/cart' }, 'Go to the cart'));
}

form?.addEventListener('submit', add); // there is no form when it is sold out
