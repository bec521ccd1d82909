// Elements, pictures and prices: what every page shows.

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

// Amounts are whole numbers of minor units. The table is the server's, because Intl assumes other digits for some
// currencies.
const digits = { BIF: 0, CLP: 0, DJF: 0, GNF: 0, JPY: 0, KMF: 0, KRW: 0, MGA: 0, PYG: 0, RWF: 0, VND: 0, VUV: 0,
  XAF: 0, XOF: 0, XPF: 0, BHD: 3, JOD: 3, KWD: 3, OMR: 3, TND: 3 };

/** format formats {amount, currency} in the page's language. */
export function format({ amount, currency }) {
  const decimals = digits[currency] ?? 2;
  return new Intl.NumberFormat(document.documentElement.lang, { style: 'currency', currency,
    minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(amount / 10 ** decimals);
}
