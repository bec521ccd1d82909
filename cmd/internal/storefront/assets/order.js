// The order page: follows the order and shows its present state.
import { Problem, call } from './api.js';
import { follow } from './follow.js';
import { PaymentPanel } from './payment.js';
import { saveCart, saveToken, token as knownToken } from './store.js';
import { isLimited, meaning, remainder, shortages, why } from './texts.js';
import { $, briefLine, el, format, show } from './view.js';

const { id, sandbox } = $('order').dataset, path = `/api/orders/${encodeURIComponent(id)}`;
const shopTitle = document.title.split(' · ').pop(), stop = new AbortController();
let latest = null;

/** takeToken stores the token of an e-mail's link (#token=…) and removes it from the address bar, where others could read it. */
function takeToken() {
  const linked = new URLSearchParams(location.hash.slice(1)).get('token');
  if (linked) {
    saveToken(id, linked);
    history.replaceState(null, '', location.pathname + location.search);
  }
  return knownToken(id);
}

/** takeReturn returns the outcome with which a bank sends the shopper back. The query also has a secret, so it is removed. */
function takeReturn() {
  const outcome = new URLSearchParams(location.search).get('redirect_status');
  if (location.search) history.replaceState(null, '', location.pathname);
  return outcome;
}

const token = takeToken();
const panel = new PaymentPanel({ path, token, sandbox, returned: takeReturn() });

function drawSteps(states) {
  const names = { done: 'done', now: 'in progress', stopped: 'stopped', '': 'to come' };
  [...$('steps').children].forEach((step, at) => {
    step.className = states[at];
    step.querySelector('.step-state').textContent = `: ${names[states[at]]}`;
    if (states[at] === 'now') step.setAttribute('aria-current', 'step');
    else step.removeAttribute('aria-current');
  });
  show($('steps'), true);
}

function drawShort(order) {
  const short = shortages(order), reason = why(order);
  const list = short.length ? [isLimited(order) ? 'These quantities are too large:' : 'These items are out of stock:', el('ul', {}, ...short.map((text) => el('li', {}, text)))] : [];
  $('short').replaceChildren(...list, ...(reason ? [reason] : []));
  show($('short'), short.length > 0 || reason !== '');
}

function drawSummary(order) {
  $('lines').replaceChildren(...order.lines.map((line) => briefLine(line.quantity, line.title, format(line.total))));
  const sum = (name, money, className = '') => el('div', { className }, el('dt', {}, name), el('dd', {}, format(money)));
  const rows = [sum('Subtotal', order.subtotal), sum('Delivery', order.shipping), sum('Total', order.total, 'sum-total')];
  if (order.tax?.amount > 0) rows.push(sum('Includes tax of', order.tax, 'note'));
  const price = ({ sku, quantity }) => quantity * (order.lines.find((line) => line.sku === sku)?.unit_price.amount ?? 0);
  const unsent = (order.cancelled ?? []).reduce((total, line) => total + price(line), 0);
  if (unsent > 0) rows.push(sum('Not sent, not charged', { ...order.total, amount: unsent }));
  if (order.refunded?.amount > 0) rows.push(sum('Refunded', order.refunded));
  for (const { amount, state } of order.refunds ?? []) if (state === 'requested') rows.push(sum('Refund on its way', amount));
  $('sums').replaceChildren(...rows);
  const to = order.shipping_address;
  $('address').textContent = [order.name, to.line1, to.line2, `${to.postal_code} ${to.city}`, countryName(to.country)].filter(Boolean).join('\n');
  $('email').textContent = order.email;
  show($('summary'), true);
}

function countryName(code) {
  return new Intl.DisplayNames([document.documentElement.lang], { type: 'region', fallback: 'code' }).of(code);
}

function draw(order) {
  const { steps, headline, story, again, final, packing, processing } = meaning(order);
  if (order.status !== latest?.status || order.deadline_reason !== latest?.deadline_reason) $('live').textContent = `${headline}. ${story}`;
  // The payment form goes away: the outcome is above what the shopper sees.
  if (latest?.status === 'awaiting_payment' && order.status !== latest.status) scrollTo(0, 0);
  latest = order;
  document.title = `${headline} · ${shopTitle}`;
  $('number').textContent = `Order ${order.number}`;
  $('headline').textContent = headline;
  $('story').textContent = story;
  drawSteps(steps);
  drawShort(order);
  drawSummary(order);
  const unpaid = order.status === 'awaiting_payment', payable = unpaid && !processing;
  if (payable) panel.open(order); else panel.close();
  show($('cancel-row'), unpaid || order.status === 'placed');
  show($('after'), Boolean(packing));
  show($('next'), !unpaid && order.status !== 'placed' && order.status !== 'capturing');
  $('refill').textContent = order.status === 'rejected' ? 'Add available items to cart' : 'Add items to cart again';
  show($('refill'), Boolean(again) && remainder(order).length > 0);
  if (final) stop.abort(); // close the connection: no change follows, or none for days
}

function refuse(problem) {
  $('headline').textContent = problem.status === 404 ? 'Order not found' : 'Something went wrong';
  $('story').textContent = problem.status === 404
    ? 'Please open the link in our e-mail, or use the browser in which you ordered.' : problem.message;
  $('live').textContent = $('headline').textContent;
  for (const part of ['steps', 'summary', 'cancel-row', 'connection', 'refill', 'after']) show($(part), false);
  panel.close();
  show($('next'), true);
}

async function cancel() {
  $('cancel').disabled = true;
  try {
    draw(await call(`${path}/cancel`, { method: 'POST', token }));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    $('short').textContent = problem.message;
    show($('short'), true);
  } finally {
    $('cancel').disabled = false;
  }
}

$('cancel').addEventListener('click', () => $('cancel-dialog').showModal());
$('cancel-dialog').addEventListener('close', ({ target }) => { if (target.returnValue === 'cancel') cancel(); target.returnValue = ''; });
$('refill').addEventListener('click', () => { saveCart(remainder(latest)); location.assign('/cart'); });
addEventListener('pagehide', () => stop.abort());
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });

follow(path, token, { onOrder: draw, onConnection: (current) => show($('connection'), !current), signal: stop.signal })
  .catch((problem) => { if (!(problem instanceof Problem)) throw problem; refuse(problem); });
