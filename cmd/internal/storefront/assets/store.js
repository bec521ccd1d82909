// What a visitor alone knows: the cart and the access tokens of their orders. Both live in localStorage; where that is
// switched off they live as long as the page, so that the shop still works within its limits.
const cartKey = 'tillstream.cart', tokensKey = 'tillstream.tokens', tokensKept = 50;
const memory = new Map();

function read(key) {
  let text = memory.get(key);
  try { text = localStorage.getItem(key) ?? text; } catch { /* storage is switched off: memory is all there is */ }
  try { return text ? JSON.parse(text) : null; } catch { return null; /* somebody else's scribble: start afresh */ }
}

function write(key, value) {
  const text = JSON.stringify(value);
  memory.set(key, text);
  try { localStorage.setItem(key, text); } catch { /* switched off or full: memory has it */ }
}

function sound(line) {
  return line && typeof line.sku === 'string' && Number.isInteger(line.quantity) && line.quantity > 0 &&
    Number.isInteger(line.price?.amount) && /^[A-Z]{3}$/.test(line.price?.currency);
}

/** cart returns its lines: {sku, quantity, title, price, picture}. */
export function cart() {
  const lines = read(cartKey);
  return Array.isArray(lines) ? lines.filter(sound) : [];
}

/** keepCart replaces the lines and tells everybody on the page. */
export function keepCart(lines) {
  write(cartKey, lines);
  document.dispatchEvent(new Event('cart'));
}

/** addToCart puts a line in, or more of one that is there. */
export function addToCart(line) {
  const lines = cart(), same = lines.find((have) => have.sku === line.sku);
  if (same) Object.assign(same, line, { quantity: same.quantity + line.quantity });
  else lines.push(line);
  keepCart(lines);
}

/** subtotal sums lines; null when there are none. A shop sells in one currency. */
export function subtotal(lines) {
  if (lines.length === 0) return null;
  return { amount: lines.reduce((sum, line) => sum + line.price.amount * line.quantity, 0), currency: lines[0].price.currency };
}

/** token returns the access token of an order, if this browser knows it. */
export function token(order) {
  return read(tokensKey)?.[order] ?? null;
}

/** keepToken remembers an order's access token; the oldest ones are forgotten. */
export function keepToken(order, value) {
  const { [order]: _, ...others } = read(tokensKey) ?? {};
  write(tokensKey, Object.fromEntries([...Object.entries(others), [order, value]].slice(-tokensKept)));
}
