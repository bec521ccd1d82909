/** $ finds by id. */
export const $ = (id) => document.getElementById(id);

/** el makes an element; text stays text, whatever is in it. */
export function el(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** show hides or shows. */
export function show(element, visible) {
  element.hidden = !visible;
}

/** picture is the address of an item's generated picture. */
export function picture(line) {
  return line.picture || `/images/items/${encodeURIComponent(line.sku)}.svg?title=${encodeURIComponent(line.title ?? '')}`;
}

/** briefLine is one line of a short summary: "2 × Mug   £9.00". */
export function briefLine(quantity, title, total) {
  return el('li', {}, el('span', {}, `${quantity} × ${title}`), el('span', { className: 'price' }, total));
}
