// The cart and the access tokens of the shopper's orders. Both live in localStorage. Where it is switched off they live
// as long as the page, so that a shopper can still buy the item of that page.
const cartKey = 'tillstream.cart', tokensKey = 'tillstream.tokens', tokensKept = 50;
const memory = new Map();

function read(key) {
  let text = memory.get(key);
  try { text = localStorage.getItem(key) ?? text; } catch { /* switched off: use the memory */ }
  try { return text ? JSON.parse(text) : null; } catch { return null; /* not written by this shop: start empty */ }
}

function write(key, value) {
  const text = JSON.stringify(value);
  memory.set(key, text);
  try { localStorage.setItem(key, text); } catch { /* switched off or full: the memory has it */ }
}

function isLine(line) {
  return line && typeof line.sku === 'string' && Number.isInteger(line.quantity) && line.quantity > 0 &&
    Number.isInteger(line.price?.amount) && /^[A-Z]{3}$/.test(line.price?.currency);
}

/** cart returns its lines: {sku, quantity, title, price, picture}. */
export function cart() {
  const lines = read(cartKey);
  return Array.isArray(lines) ? lines.filter(isLine) : [];
}

/** keepCart replaces the lines and notifies the page. */
export function keepCart(lines) {
  write(cartKey, lines);
  document.dispatchEvent(new Event('cart'));
}

/** addToCart adds a line, or its quantity to the line of the same item. */
export function addToCart(line) {
  const lines = cart(), same = lines.find((each) => each.sku === line.sku);
  if (same) Object.assign(same, line, { quantity: same.quantity + line.quantity });
  else lines.push(line);
  keepCart(lines);
}

/** lineTotal returns the price of a line. */
export function lineTotal(line) {
  return { amount: line.price.amount * line.quantity, currency: line.price.currency };
}

/** subtotal returns the sum of the lines, of which there is at least one. A shop sells in one currency. */
export function subtotal(lines) {
  return { amount: lines.reduce((sum, line) => sum + lineTotal(line).amount, 0), currency: lines[0].price.currency };
}

/** token returns the access token of an order, if this browser has it. */
export function token(order) {
  return read(tokensKey)?.[order] ?? null;
}

/** keepToken stores an order's access token and drops the oldest beyond a limit. */
export function keepToken(order, value) {
  const { [order]: _, ...others } = read(tokensKey) ?? {};
  write(tokensKey, Object.fromEntries([...Object.entries(others), [order, value]].slice(-tokensKept)));
}
