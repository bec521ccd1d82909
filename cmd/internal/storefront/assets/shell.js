// On every page: how much is in the cart.
import { cart } from './store.js';

const badge = document.querySelector('[data-cart-count]');

function count() {
  const things = cart().reduce((sum, line) => sum + line.quantity, 0);
  badge.textContent = things > 999 ? '999+' : things;
  badge.hidden = things === 0;
  badge.parentElement.setAttribute('aria-label', things === 1 ? 'Cart, 1 item' : `Cart, ${things} items`);
}

document.addEventListener('cart', count);
addEventListener('storage', count); // another tab
addEventListener('pageshow', count); // back button
count();
