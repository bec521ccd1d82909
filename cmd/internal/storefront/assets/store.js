// The cart and the access tokens of the shopper's orders, stored in localStorage. Where localStorage is disabled, they are kept
// in memory until the page is left.
const cartKey = 'tillstream.cart', tokensKey = 'tillstream.tokens', tokensKept = 50;
const memory = new Map();

function read(key) {
  let text = memory.get(key);
  try { text = localStorage.getItem(key) ?? text; } catch { /* disabled: use the memory */ }
  try { return text ? JSON.parse(text) : null; } catch { return null; /* not valid JSON: start empty */ }
}

function write(key, value) {
  const text = JSON.stringify(value);
  memory.set(key, text);
  try { localStorage.setItem(key, text); } catch { /* disabled or full: the value stays in memory */ }
}

function isLine(line) {
  return line && typeof line.sku === 'string' && Number.isInteger(line.quantity) && line.quantity > 0 &&
    Number.isInteger(line.price?.amount) && /^[A-Z]{3}$/.test(line.price?.currency);
}

/** cart returns the lines of the cart: {sku, quantity, title, price, picture}. */
export function cart() {
  const lines = read(cartKey);
  return Array.isArray(lines) ? lines.filter(isLine) : [];
}

/** saveCart replaces the lines of the cart and notifies the page. */
export function saveCart(lines) {
  write(cartKey, lines);
  document.dispatchEvent(new Event('cart'));
}

/** addToCart adds a line, or its quantity to the line of the same item. */
export function addToCart(line) {
  const lines = cart(), same = lines.find((each) => each.sku === line.sku);
  if (same) Object.assign(same, line, { quantity: same.quantity + line.quantity });
  else lines.push(line);
  saveCart(lines);
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

/** saveToken stores an order's access token. It keeps the newest fifty tokens. */
export function saveToken(order, value) {
  const { [order]: _, ...others } = read(tokensKey) ?? {};
  write(tokensKey, Object.fromEntries([...Object.entries(others), [order, value]].slice(-tokensKept)));
}
