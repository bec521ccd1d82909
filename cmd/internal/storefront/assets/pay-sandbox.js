// The sandbox's card form. Like Stripe's own, it sends the card to the payment provider directly, never through the shop.
import { declineText } from './texts.js';
import { $ } from './view.js';

const done = ['requires_capture', 'processing', 'succeeded'];

/** sandboxForm builds the form into the box and returns {secret, idle}. */
export function sandboxForm(box, payment, { label, returnURL, sandbox, onPaid, onProblem }) {
  const form = $('sandbox-form').content.firstElementChild.cloneNode(true), button = form.querySelector('[type=submit]');
  const idle = () => { button.disabled = false; button.textContent = label; };
  form.addEventListener('click', ({ target }) => fill(form, target.closest('[data-card]')?.dataset.card));
  form.elements.number.addEventListener('blur', ({ target }) => { target.value = grouped(target.value); });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    const card = read(form);
    if (card.error) { onProblem(card.error, true); return; }
    button.disabled = true;
    button.textContent = 'Paying…';
    onProblem('');
    const answer = await confirm(sandbox, payment, card, returnURL);
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
  if (!number) return;
  form.elements.number.value = grouped(number);
  form.elements.expiry.value = `12/${String((new Date().getFullYear() + 3) % 100).padStart(2, '0')}`;
  form.elements.cvc.value = '123';
  form.querySelector('[type=submit]').focus();
}

function read(form) {
  const number = form.elements.number.value.replace(/\D/g, ''), cvc = form.elements.cvc.value.trim();
  const expiry = /^\s*(\d{1,2})\s*\/?\s*(?:20)?(\d{2})\s*$/.exec(form.elements.expiry.value);
  if (number.length < 12) return { error: 'Please enter the card number.' };
  if (!expiry || Number(expiry[1]) < 1 || Number(expiry[1]) > 12) return { error: 'Please enter the expiry date as month and year, such as 04/29.' };
  if (!/^\d{3,4}$/.test(cvc)) return { error: 'Please enter the security code, 3 or 4 digits.' };
  return { number, month: String(Number(expiry[1])), year: `20${expiry[2]}`, cvc };
}

/** confirm pays; it resolves to {paid}, {redirect} or {text} with a reason. */
async function confirm(sandbox, payment, card, returnURL) {
  const body = new URLSearchParams({ client_secret: payment.client_secret, return_url: returnURL,
    'payment_method_data[type]': 'card', 'payment_method_data[card][number]': card.number,
    'payment_method_data[card][exp_month]': card.month, 'payment_method_data[card][exp_year]': card.year,
    'payment_method_data[card][cvc]': card.cvc });
  let answer;
  try {
    const response = await fetch(`${sandbox}/v1/payment_intents/${encodeURIComponent(payment.payment_intent)}/confirm`,
      { method: 'POST', body, headers: { Authorization: `Bearer ${payment.publishable_key}` } });
    answer = await response.json();
  } catch {
    // The request may have arrived. Another attempt is safe: the intent can be charged once only.
    return { text: 'The payment service cannot be reached. Please try again. You will not be charged twice.' };
  }
  return outcome(answer);
}

function outcome(answer) {
  // An intent that was paid in another tab refuses a second card; its error contains the paid intent.
  const intent = answer.error?.payment_intent ?? answer;
  if (done.includes(intent.status)) return { paid: true };
  if (answer.error) return { text: declineText(answer.error) };
  const redirect = answer.next_action?.redirect_to_url?.url;
  if (answer.status === 'requires_action' && /^https?:/.test(redirect)) return { redirect };
  return { text: declineText(answer.last_payment_error) };
}
