// Elements, pictures and prices: what every page shows.
import { digits } from './digits.js';

/** $ finds an element by id. */
export const $ = (id) => document.getElementById(id);

/** el creates an element. Text children stay text, whatever they contain. */
export function el(name, properties = {}, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
}

/** show shows or hides an element. */
export function show(element, visible) {
  element.hidden = !visible;
}

/** picture returns the address of a cart line's picture. */
export function picture(line) {
  return line.picture || `/images/items/${encodeURIComponent(line.sku)}.svg?title=${encodeURIComponent(line.title ?? '')}`;
}

/** briefLine returns one line of a short summary: "2 × Mug   £9.00". */
export function briefLine(quantity, title, total) {
  return el('li', {}, el('span', {}, `${quantity} × ${title}`), el('span', { className: 'price' }, total));
}

// Amounts are whole numbers of minor units. The server tells the decimals, because Intl assumes others for some currencies.
const two = { minor: 2, shown: 2 };

/** format formats {amount, currency} in the page's language, as events.Money.Format does on the server. */
export function format({ amount, currency }) {
  const { minor, shown } = digits[currency] ?? two;
  const decimals = amount % 10 ** (minor - shown) ? minor : shown;
  return new Intl.NumberFormat(document.documentElement.lang, { style: 'currency', currency, numberingSystem: 'latn',
    minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(amount / 10 ** minor);
}
