// The cart page. Prices and stock may have changed since a line was added, so the page reads both again and shows what differs.
import { call } from './api.js';
import { cart, saveCart, lineTotal, subtotal } from './store.js';
import { $, format, picture, show } from './view.js';

const rows = new Map(); // sku → {node, blocked}

function setQuantity(sku, quantity) {
  const lines = cart(), line = lines.find((each) => each.sku === sku);
  if (!line) return;
  const title = line.title;
  line.quantity = quantity;
  saveCart(lines.filter((each) => each.quantity > 0));
  $('status').textContent = quantity ? `${title}: ${quantity} in your cart.` : `${title} removed.`;
  draw();
  if (quantity === 0) $('main').focus(); // the focused button is gone
}

function createRow(line) {
  const node = $('line').content.firstElementChild.cloneNode(true), input = node.querySelector('input');
  input.addEventListener('change', () => {
    const wanted = Math.floor(input.valueAsNumber);
    if (wanted >= 1 && wanted <= 9999) setQuantity(line.sku, wanted);
    else draw();
    check(line.sku);
  });
  node.querySelector('button').addEventListener('click', () => setQuantity(line.sku, 0));
  node.querySelector('button').setAttribute('aria-label', `Remove ${line.title}`);
  node.querySelector('label span').textContent = `Quantity of ${line.title}`;
  for (const link of node.querySelectorAll('a')) link.href = `/items/${encodeURIComponent(line.sku)}`;
  node.querySelector('.line-title').textContent = line.title;
  node.querySelector('img').src = picture(line);
  return { node, blocked: false };
}

function draw() {
  const lines = cart();
  for (const line of lines) {
    if (!rows.has(line.sku)) rows.set(line.sku, createRow(line));
    const { node } = rows.get(line.sku);
    node.querySelector('input').value = line.quantity;
    node.querySelector('.line-each').textContent = `${format(line.price)} each`;
    node.querySelector('.line-total').textContent = format(lineTotal(line));
    if (!node.isConnected) $('lines').append(node);
  }
  for (const [sku, row] of rows) {
    if (lines.some((line) => line.sku === sku)) continue;
    row.node.remove();
    rows.delete(sku);
  }
  show($('empty'), lines.length === 0);
  show($('full'), lines.length > 0);
  if (lines.length) $('subtotal').textContent = format(subtotal(lines));
  drawCheckoutLink();
}

/** drawCheckoutLink disables the link while a line cannot be ordered. */
function drawCheckoutLink() {
  const blocked = [...rows.values()].some((row) => row.blocked), go = $('go');
  show($('blocked'), blocked);
  if (blocked) { go.removeAttribute('href'); go.setAttribute('aria-disabled', 'true'); }
  else { go.href = '/checkout'; go.removeAttribute('aria-disabled'); }
}

function setProblem(sku, text, blocked) {
  const row = rows.get(sku);
  if (!row) return;
  const problem = row.node.querySelector('.line-problem');
  problem.textContent = text;
  problem.classList.toggle('mild', !blocked);
  show(problem, text !== '');
  row.blocked = blocked;
  if (text) $('status').textContent = `${row.node.querySelector('.line-title').textContent}: ${text}`;
  drawCheckoutLink();
}

/** check compares one line with the catalogue. */
async function check(sku) {
  let item;
  try {
    item = await call(`/api/items/${encodeURIComponent(sku)}`);
  } catch (problem) {
    // Only a missing item blocks the order. The API checks everything again when the order is placed.
    if (problem.status === 404) setProblem(sku, 'No longer available. Please remove this item.', true);
    return;
  }
  const lines = cart(), line = lines.find((each) => each.sku === sku);
  if (!line) return;
  if (item.available < line.quantity) {
    setProblem(sku, item.available > 0 ? `Only ${item.available} left. Please reduce the quantity.` : 'Sold out. Please remove this item.', true);
  } else if (item.price.amount !== line.price.amount || item.price.currency !== line.price.currency) {
    setProblem(sku, `The price has changed from ${format(line.price)} to ${format(item.price)}.`, false);
  } else if (rows.get(sku)?.blocked) {
    setProblem(sku, '', false);
  }
  Object.assign(line, { price: item.price, title: item.title });
  saveCart(lines);
  draw();
}

draw();
for (const line of cart()) check(line.sku);
addEventListener('storage', draw);
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
