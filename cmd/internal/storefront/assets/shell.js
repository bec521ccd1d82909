// On every page: the number of items in the cart.
import { cart } from './store.js';

const badge = document.querySelector('[data-cart-count]');

function drawCount() {
  const items = cart().reduce((sum, line) => sum + line.quantity, 0);
  badge.textContent = items > 999 ? '999+' : items;
  badge.hidden = items === 0;
  badge.parentElement.setAttribute('aria-label', items === 1 ? 'Cart, 1 item' : `Cart, ${items} items`);
}

document.addEventListener('cart', drawCount);
addEventListener('storage', drawCount); // another tab changed it
addEventListener('pageshow', drawCount); // the back button restored the page
drawCount();
