// The cart page. What was put in may be old: price and stock are asked for again, and every difference is told.
import { call } from './api.js';
import { $, picture, show } from './dom.js';
import { format } from './money.js';
import { cart, keepCart, subtotal } from './store.js';

const rows = new Map(); // sku → {node, blocked}

function change(sku, quantity) {
  const lines = cart(), line = lines.find((each) => each.sku === sku);
  if (!line) return;
  const title = line.title;
  line.quantity = quantity;
  keepCart(lines.filter((each) => each.quantity > 0));
  $('said').textContent = quantity ? `${title}: ${quantity} in the cart.` : `${title} removed.`;
  draw();
  if (quantity === 0) $('main').focus(); // the button that had the focus is gone
}

function make(line) {
  const node = $('line').content.firstElementChild.cloneNode(true), input = node.querySelector('input');
  input.addEventListener('change', () => {
    const wanted = Math.floor(input.valueAsNumber);
    if (wanted >= 1 && wanted <= 9999) change(line.sku, wanted);
    else draw();
    check(line.sku);
  });
  node.querySelector('button').addEventListener('click', () => change(line.sku, 0));
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
    if (!rows.has(line.sku)) rows.set(line.sku, make(line));
    const { node } = rows.get(line.sku);
    node.querySelector('input').value = line.quantity;
    node.querySelector('.line-each').textContent = `${format(line.price)} each`;
    node.querySelector('.line-total').textContent = format({ ...line.price, amount: line.price.amount * line.quantity });
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
  gate();
}

/** gate closes the way to checkout while a line cannot be had. */
function gate() {
  const blocked = [...rows.values()].some((row) => row.blocked), go = $('go');
  show($('blocked'), blocked);
  if (blocked) { go.removeAttribute('href'); go.setAttribute('aria-disabled', 'true'); }
  else { go.href = '/checkout'; go.removeAttribute('aria-disabled'); }
}

function tell(sku, text, blocked) {
  const row = rows.get(sku);
  if (!row) return;
  const problem = row.node.querySelector('.line-problem');
  problem.textContent = text;
  problem.classList.toggle('mild', !blocked);
  show(problem, text !== '');
  row.blocked = blocked;
  if (text) $('said').textContent = `${row.node.querySelector('.line-title').textContent}: ${text}`;
  gate();
}

/** check compares one line with what the shop says now. */
async function check(sku) {
  let item;
  try {
    item = await call(`/api/items/${encodeURIComponent(sku)}`);
  } catch (problem) {
    // Only "there is no such thing" is a reason to stop; anything else is found out when the order is placed.
    if (problem.status === 404) tell(sku, 'We no longer sell this. Please remove it.', true);
    return;
  }
  const lines = cart(), line = lines.find((each) => each.sku === sku);
  if (!line) return;
  if (item.available < line.quantity) {
    tell(sku, item.available > 0 ? `Only ${item.available} left. Please take fewer.` : 'Sold out. Please remove it.', true);
  } else if (item.price.amount !== line.price.amount || item.price.currency !== line.price.currency) {
    tell(sku, `The price changed from ${format(line.price)} to ${format(item.price)}.`, false);
  } else if (rows.get(sku)?.blocked) {
    tell(sku, '', false);
  }
  Object.assign(line, { price: item.price, title: item.title });
  keepCart(lines);
  draw();
}

draw();
for (const line of cart()) check(line.sku);
addEventListener('storage', draw);
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
