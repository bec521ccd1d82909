// The sandbox's form for cards and debits. Like Stripe's own, it sends the card to the payment provider directly, never through the shop.
import { challenge } from './pay-challenge.js';
import { declineText } from './texts.js';
import { $, show } from './view.js';

const done = ['requires_capture', 'processing', 'succeeded'];

/** sandboxForm builds the form into the box and returns {secret, idle}. */
export function sandboxForm(box, payment, { label, returnURL, sandbox, onPaid, onProblem }) {
  const form = $('sandbox-form').content.firstElementChild.cloneNode(true), button = form.querySelector('[type=submit]');
  const idle = () => { button.disabled = false; button.textContent = label; };
  form.addEventListener('click', ({ target }) => {
    const { card, iban } = target.closest('[data-card], [data-iban]')?.dataset ?? {};
    if (card) fill(form, card);
    if (iban) fillAccount(form, iban);
  });
  offer(form, payment.methods ?? []);
  form.elements.number.addEventListener('blur', ({ target }) => { target.value = grouped(target.value); });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    const method = form.elements.method.value === 'sepa_debit' ? readAccount(form) : read(form);
    if (method.error) { onProblem(method.error, true); return; }
    button.disabled = true;
    button.textContent = 'Paying…';
    onProblem('');
    const back = form.elements.in_page.checked ? {} : { return_url: returnURL };
    const answer = await confirm(sandbox, payment, { ...method.data, ...back });
    if (answer.redirect) { location.assign(answer.redirect); return; }
    if (answer.paid) { onPaid(); return; }
    idle();
    onProblem(answer.text, true);
  });
  idle();
  box.replaceChildren(form);
  return { secret: payment.client_secret, idle };
}

function grouped(number) {
  return number.replace(/\D/g, '').replace(/(.{4})(?=.)/g, '$1 ');
}

function fill(form, number) {
  form.elements.number.value = grouped(number);
  form.elements.expiry.value = `12/${String((new Date().getFullYear() + 3) % 100).padStart(2, '0')}`;
  form.elements.cvc.value = '123';
  form.querySelector('[type=submit]').focus();
}

function fillAccount(form, iban) {
  form.elements.iban.value = iban.replace(/(.{4})(?=.)/g, '$1 ');
  form.querySelector('[type=submit]').focus();
}

/** offer shows the choice of methods, if there is one. */
function offer(form, methods) {
  const choice = form.querySelector('.pay-methods');
  show(choice, methods.includes('sepa_debit') || methods.includes('automatic'));
  choice.addEventListener('change', () => {
    for (const part of form.querySelectorAll('[data-method]')) show(part, part.dataset.method === form.elements.method.value);
  });
}

function readAccount(form) {
  const iban = form.elements.iban.value.replace(/\s/g, '').toUpperCase();
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(iban)) return { error: 'Please enter the IBAN of your account, such as DE89 3704 0044 0532 0130 00.' };
  return { data: { 'payment_method_data[type]': 'sepa_debit', 'payment_method_data[sepa_debit][iban]': iban,
    'payment_method_data[billing_details][name]': 'Sandbox Shopper', 'payment_method_data[billing_details][email]': 'shopper@example.com' } };
}

function read(form) {
  const number = form.elements.number.value.replace(/\D/g, ''), cvc = form.elements.cvc.value.trim();
  const expiry = /^\s*(\d{1,2})\s*\/?\s*(?:20)?(\d{2})\s*$/.exec(form.elements.expiry.value);
  if (number.length < 12) return { error: 'Please enter the card number.' };
  if (!expiry || Number(expiry[1]) < 1 || Number(expiry[1]) > 12) return { error: 'Please enter the expiry date as month and year, such as 04/29.' };
  if (!/^\d{3,4}$/.test(cvc)) return { error: 'Please enter the security code, 3 or 4 digits.' };
  return { data: { 'payment_method_data[type]': 'card', 'payment_method_data[card][number]': number,
    'payment_method_data[card][exp_month]': String(Number(expiry[1])), 'payment_method_data[card][exp_year]': `20${expiry[2]}`,
    'payment_method_data[card][cvc]': cvc } };
}

/** confirm pays; it resolves to {paid}, {redirect} or {text} with a reason. */
async function confirm(sandbox, payment, parameters) {
  const body = new URLSearchParams({ client_secret: payment.client_secret, ...parameters });
  const address = `${sandbox}/v1/payment_intents/${encodeURIComponent(payment.payment_intent)}`;
  const headers = { Authorization: `Bearer ${payment.publishable_key}` };
  const send = (path, options) => fetch(address + path, { headers, ...options }).then((response) => response.json());
  try {
    let answer = await send('/confirm', { method: 'POST', body });
    const page = answer.next_action?.use_stripe_sdk?.stripe_js;
    if (page) answer = await challenge(page, () => send(`?${new URLSearchParams({ client_secret: payment.client_secret })}`));
    return outcome(answer);
  } catch {
    // The request may have arrived. Another attempt is safe: the intent can be charged once only.
    return { text: 'The payment service cannot be reached. Please try again. You will not be charged twice.' };
  }
}

function outcome(answer) {
  // An intent that was paid in another tab refuses a second card; its error contains the paid intent.
  const intent = answer.error?.payment_intent ?? answer;
  if (done.includes(intent.status)) return { paid: true };
  if (answer.error) return { text: declineText(answer.error) };
  if (answer.status !== 'requires_action') return { text: declineText(answer.last_payment_error) };
  const redirect = answer.next_action?.redirect_to_url?.url;
  return /^https?:/.test(redirect) ? { redirect } : { text: 'Your bank has not confirmed the payment yet. Please try again.' };
}
