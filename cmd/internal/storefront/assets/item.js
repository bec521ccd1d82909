// The item page: adds the item to the cart.
import { addToCart, cart } from './store.js';
import { $, el } from './view.js';

const form = $('add'), status = $('status');

function add(event) {
  event.preventDefault();
  const { sku, title, amount, currency, picture, available } = form.dataset;
  const quantity = form.elements.quantity.valueAsNumber, stock = Number(available);
  const inCart = cart().find((line) => line.sku === sku)?.quantity ?? 0;
  if (inCart + quantity > stock) {
    status.textContent = inCart ? `Only ${stock} in stock, and ${inCart} already in your cart.` : `Only ${stock} in stock.`;
    return;
  }
  addToCart({ sku, title, quantity, picture, price: { amount: Number(amount), currency } });
  status.replaceChildren(`${quantity} added to your cart. `, el('a', { href: '/cart' }, 'Go to cart'));
}

form?.addEventListener('submit', add); // a sold-out item has no form
