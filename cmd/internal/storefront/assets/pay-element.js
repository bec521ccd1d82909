// Stripe's Payment Element, loaded from Stripe as its terms require. Card data goes from the browser to Stripe only.
import { declineText } from './texts.js';
import { $ } from './view.js';

const source = 'https://js.stripe.com/v3/';

function load() {
  return new Promise((resolve, reject) => {
    if (window.Stripe) { resolve(); return; }
    const script = Object.assign(document.createElement('script'), { src: source, onload: resolve, onerror: reject });
    document.head.append(script);
  });
}

/** elementForm builds the form into the box and returns {secret, idle}. */
export async function elementForm(box, payment, { label, returnURL, onPaid, onProblem }) {
  const form = $('element-form').content.firstElementChild.cloneNode(true), button = form.querySelector('button');
  const idle = () => { button.disabled = false; button.textContent = label; };
  button.textContent = label;
  box.replaceChildren(form);
  try {
    await load();
  } catch {
    onProblem('The payment form could not be loaded. Please check your connection and your content blocker, then reload this page.');
    return { secret: null, idle };
  }
  const stripe = window.Stripe(payment.publishable_key);
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const elements = stripe.elements({ clientSecret: payment.client_secret, appearance: { theme: dark ? 'night' : 'stripe' } });
  const element = elements.create('payment', { wallets: { applePay: 'auto', googlePay: 'auto' } });
  element.on('ready', idle);
  element.on('loaderror', ({ error }) => onProblem(declineText(error)));
  element.mount(form.querySelector('.element'));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    button.textContent = 'Paying…';
    onProblem('');
    const { error, paymentIntent } = await stripe.confirmPayment({ elements, confirmParams: { return_url: returnURL }, redirect: 'if_required' });
    const status = (error?.payment_intent ?? paymentIntent)?.status;
    if (['requires_capture', 'processing', 'succeeded'].includes(status)) { onPaid(); return; }
    idle();
    onProblem(declineText(error ?? paymentIntent?.last_payment_error), true);
  });
  return { secret: payment.client_secret, idle };
}
