// Guest checkout. One cart and address make one order, however often the button is pressed or the page loaded again:
// the Idempotency-Key belongs to exactly this body and stays until the order is known.
import { Problem, call } from './api.js';
import { $, briefLine, el, show } from './dom.js';
import { format } from './money.js';
import { cart, keepCart, keepToken, subtotal } from './store.js';

const form = $('checkout'), attemptKey = 'tillstream.attempt', draftKey = 'tillstream.draft';
const fields = [...form.elements].filter((field) => field.name);

function draw() {
  const lines = cart();
  show($('empty'), lines.length === 0);
  show(form, lines.length > 0);
  if (lines.length === 0) return;
  $('lines').replaceChildren(...lines.map((line) =>
    briefLine(line.quantity, line.title, format({ ...line.price, amount: line.price.amount * line.quantity }))));
  $('subtotal').textContent = format(subtotal(lines));
}

/** body is the request: what the form says, with dotted names as nested objects. */
function body() {
  const order = { lines: cart().map(({ sku, quantity }) => ({ sku, quantity })) };
  for (const { name, value } of fields) {
    const text = value.trim(), path = name.split('.'), leaf = path.pop();
    if (text) path.reduce((into, part) => (into[part] ??= {}), order)[leaf] = text;
  }
  return JSON.stringify(order);
}

/** attempt returns the key of this body: the same as last time if the body is. */
function attempt(text) {
  const last = JSON.parse(sessionStorage.getItem(attemptKey) ?? 'null');
  if (last?.body === text) return last.key;
  const random = crypto.getRandomValues(new Uint8Array(16)); // randomUUID would need https
  const key = [...random].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  sessionStorage.setItem(attemptKey, JSON.stringify({ key, body: text }));
  return key;
}

function mark(field, message) {
  const id = `${field.id}-wrong`, described = [field.id === 'email' ? 'email-hint' : '', message ? id : ''];
  $(id)?.remove();
  field.toggleAttribute('aria-invalid', Boolean(message));
  if (message) field.setAttribute('aria-invalid', 'true');
  field.setAttribute('aria-describedby', described.join(' ').trim());
  if (message) field.closest('.field').append(el('p', { id, className: 'wrong' }, message));
}

function complaint(field) {
  if (field.validity.valueMissing || (field.required && !field.value.trim())) {
    return field.name.endsWith('country') ? 'Please choose a country.' : 'Please fill this in.';
  }
  return field.validity.typeMismatch ? 'Please check this address; it should look like name@example.com.' : '';
}

function say(...parts) {
  $('problem').replaceChildren(...parts);
  show($('problem'), parts.length > 0);
}

/** explain puts each error of the API beside its field, and the others above the form. */
function explain(problem) {
  const others = [];
  for (const { location = '', message = '' } of problem.errors) {
    const path = location.replace(/^body\./, ''), field = fields.find((each) => each.name === path);
    const line = cart()[Number(/^lines\[?\.?(\d+)/.exec(path)?.[1] ?? NaN)];
    if (field) mark(field, message);
    else others.push(el('li', {}, line ? `${line.title}: ${message}` : message));
  }
  const inline = form.querySelector('[aria-invalid]');
  if (others.length) say(problem.message, el('ul', {}, ...others));
  else say(inline ? 'Please look at the marked fields.' : problem.message);
  (inline && !others.length ? inline : $('problem')).focus();
}

function busy(yes) {
  $('place').disabled = yes;
  $('place').textContent = yes ? 'Placing your order…' : 'Place order';
}

async function place(event) {
  event.preventDefault();
  if ($('place').disabled) return;
  for (const field of fields) mark(field, complaint(field));
  const wrong = form.querySelector('[aria-invalid]');
  say();
  if (wrong) { wrong.focus(); return; }
  busy(true);
  try {
    const text = body();
    const order = await call('/api/orders', { method: 'POST', body: text, headers: { 'Idempotency-Key': attempt(text) } });
    keepToken(order.id, order.access_token);
    keepCart([]);
    sessionStorage.removeItem(attemptKey);
    location.assign(`/orders/${encodeURIComponent(order.id)}`);
  } catch (problem) {
    busy(false);
    if (!(problem instanceof Problem)) throw problem;
    explain(problem);
  }
}

/** The draft survives a look back at the cart. */
function restore() {
  const draft = JSON.parse(sessionStorage.getItem(draftKey) ?? '{}');
  for (const field of fields) field.value = draft[field.name] ?? field.value;
  if (!draft.locale && navigator.language.startsWith('de')) form.elements.locale.value = 'de';
}

form.addEventListener('submit', place);
form.addEventListener('input', ({ target }) => {
  if (target.getAttribute('aria-invalid') && !complaint(target)) mark(target, '');
  sessionStorage.setItem(draftKey, JSON.stringify(Object.fromEntries(new FormData(form))));
});
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
restore();
draw();
