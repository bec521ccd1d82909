// Guest checkout. The same cart and address place only one order, even if the shopper presses the button twice or reloads the page:
// the Idempotency-Key belongs to exactly this body and is kept until the order is known.
import { Problem, call } from './api.js';
import { cart, saveCart, saveToken, lineTotal, subtotal } from './store.js';
import { $, briefLine, el, format, show } from './view.js';

const form = $('checkout'), attemptKey = 'tillstream.attempt', draftKey = 'tillstream.draft';
const fields = [...form.elements].filter((field) => field.name);

function draw() {
  const lines = cart();
  show($('empty'), lines.length === 0);
  show(form, lines.length > 0);
  if (lines.length === 0) return;
  $('lines').replaceChildren(...lines.map((line) => briefLine(line.quantity, line.title, format(lineTotal(line)))));
  $('subtotal').textContent = format(subtotal(lines));
}

/** requestBody returns the order as JSON; field names with dots become nested objects. */
function requestBody() {
  const order = { lines: cart().map(({ sku, quantity }) => ({ sku, quantity })) };
  for (const { name, value } of fields) {
    const text = value.trim(), path = name.split('.'), leaf = path.pop();
    if (text) path.reduce((into, part) => (into[part] ??= {}), order)[leaf] = text;
  }
  return JSON.stringify(order);
}

/** idempotencyKey returns the same key again for the same body. */
function idempotencyKey(body) {
  const last = JSON.parse(sessionStorage.getItem(attemptKey) ?? 'null');
  if (last?.body === body) return last.key;
  const random = crypto.getRandomValues(new Uint8Array(16)); // randomUUID needs https
  const key = [...random].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  sessionStorage.setItem(attemptKey, JSON.stringify({ key, body }));
  return key;
}

/** mark shows an error below a field; an empty message removes it. */
function mark(field, message) {
  const id = `${field.id}-error`, described = [field.id === 'email' ? 'email-hint' : '', message ? id : ''];
  $(id)?.remove();
  field.toggleAttribute('aria-invalid', Boolean(message));
  if (message) field.setAttribute('aria-invalid', 'true');
  field.setAttribute('aria-describedby', described.join(' ').trim());
  if (message) field.closest('.field').append(el('p', { id, className: 'field-error' }, message));
}

/** validate returns the error of a field; empty if it is valid. */
function validate(field) {
  if (field.validity.valueMissing || (field.required && !field.value.trim())) {
    return field.name.endsWith('country') ? 'Please choose a country.' : 'Please fill in this field.';
  }
  return field.validity.typeMismatch ? 'Please enter an e-mail address such as name@example.com.' : '';
}

function showProblem(...parts) {
  $('problem').replaceChildren(...parts);
  show($('problem'), parts.length > 0);
}

/** explain shows each error of the API below its field, and the others above the form. */
function explain(problem) {
  const others = [];
  for (const { location = '', message = '' } of problem.errors) {
    const path = location.replace(/^body\./, ''), field = fields.find((each) => each.name === path);
    const line = cart()[Number(/^lines\[?\.?(\d+)/.exec(path)?.[1] ?? NaN)];
    if (field) mark(field, message.charAt(0).toUpperCase() + message.slice(1));
    else others.push(el('li', {}, line ? `${line.title}: ${message}` : message));
  }
  const invalid = form.querySelector('[aria-invalid]');
  if (others.length) showProblem('Please correct the following:', el('ul', {}, ...others));
  else showProblem(invalid ? 'Please correct the highlighted fields.' : problem.message);
  (invalid && !others.length ? invalid : $('problem')).focus();
}

function setBusy(busy) {
  $('place').disabled = busy;
  $('place').textContent = busy ? 'Placing your order…' : 'Place order';
}

async function place(event) {
  event.preventDefault();
  if ($('place').disabled) return;
  for (const field of fields) mark(field, validate(field));
  const invalid = form.querySelector('[aria-invalid]');
  showProblem();
  if (invalid) { invalid.focus(); return; }
  setBusy(true);
  try {
    const body = requestBody();
    const order = await call('/api/orders', { method: 'POST', body, headers: { 'Idempotency-Key': idempotencyKey(body) } });
    saveToken(order.id, order.access_token);
    saveCart([]);
    sessionStorage.removeItem(attemptKey);
    location.assign(`/orders/${encodeURIComponent(order.id)}`);
  } catch (problem) {
    setBusy(false);
    if (!(problem instanceof Problem)) throw problem;
    explain(problem);
  }
}

/** restore fills in the form from the draft, so that a visit to the cart does not lose it. */
function restore() {
  const draft = JSON.parse(sessionStorage.getItem(draftKey) ?? '{}');
  for (const field of fields) field.value = draft[field.name] ?? field.value;
  if (!draft.locale && navigator.language.startsWith('de')) form.elements.locale.value = 'de';
}

form.addEventListener('submit', place);
form.addEventListener('input', ({ target }) => {
  if (target.getAttribute('aria-invalid') && !validate(target)) mark(target, '');
  sessionStorage.setItem(draftKey, JSON.stringify(Object.fromEntries(new FormData(form))));
});
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
restore();
draw();
