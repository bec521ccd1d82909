// The payment part of the order page: gets the intent's secret, shows the card form and the result. The form's result is
// only a hint: an order counts as paid when the API reports it.
import { Problem, call } from './api.js';
import { elementForm } from './pay-element.js';
import { sandboxForm } from './pay-sandbox.js';
import { declineText } from './texts.js';
import { $, format, show } from './view.js';

const pollEvery = 2_000;
const webhookMayTake = 15_000; // until then the API may still report an earlier failure after a payment that succeeded

/** PaymentPanel is open while the order awaits payment. */
export class PaymentPanel {
  #opened; #form = null; #deadline = null;

  constructor({ path, token, sandbox, returned }) {
    Object.assign(this, { path, token, sandbox, returned });
  }

  open(order) {
    this.#countDown(order.expires_at);
    if (this.#opened) return;
    this.#opened = new AbortController();
    show($('payment'), true);
    this.#prepare(this.#opened.signal);
  }

  close() {
    this.#opened?.abort();
    this.#opened = null;
    clearInterval(this.#deadline);
    show($('payment'), false);
  }

  #fetch(signal) {
    return call(`${this.path}/payment?wait=20`, { token: this.token, signal });
  }

  /** Waits for the secret, then shows the form, or that a payment is being confirmed. */
  async #prepare(signal) {
    let payment = null;
    while (!signal.aborted && !payment?.client_secret) {
      payment = await this.#fetch(signal).catch((problem) => this.#report(problem, signal));
      if (!payment?.client_secret && !signal.aborted) await pause(payment ? 250 : pollEvery);
    }
    if (signal.aborted) return;
    this.#showProblem('');
    if (['succeeded', 'pending'].includes(this.returned) || ['processing', 'authorized', 'captured'].includes(payment.status)) {
      await this.#settle(payment, signal);
      return;
    }
    if (this.returned === 'failed') this.#showProblem(declineText({ code: 'payment_intent_authentication_failure' }));
    else if (payment.last_error) this.#showProblem(declineText(payment.last_error));
    await this.#offer(payment, signal);
  }

  #report(problem, signal) {
    if (signal.aborted) return null;
    if (!(problem instanceof Problem)) throw problem;
    this.#showProblem('The payment service cannot be reached right now. We keep trying, and your items stay reserved.');
    return null;
  }

  async #offer(payment, signal) {
    this.returned = null;
    show($('payment-wait'), false);
    show($('payment-form'), true);
    if (this.#form?.secret === payment.client_secret) { this.#form.idle(); return; }
    const make = this.sandbox ? sandboxForm : elementForm;
    const handlers = { label: `Pay ${format(payment)}`, returnURL: location.origin + location.pathname, sandbox: this.sandbox,
      onPaid: () => this.#settle(payment, signal), onProblem: (text, focus) => this.#showProblem(text, focus) };
    this.#form = await make($('payment-form'), payment, handlers);
  }

  /** Waits until the order shows the payment. If the API reports a failure instead, offers the form again. */
  async #settle(payment, signal) {
    this.#showProblem('');
    show($('payment-form'), false);
    $('payment-wait').textContent = 'Payment received. Confirming your order…';
    show($('payment-wait'), true);
    const since = Date.now();
    while (!signal.aborted) {
      await pause(pollEvery);
      if (signal.aborted) return;
      const current = await this.#fetch(signal).catch((problem) => this.#report(problem, signal));
      if (!current || Date.now() - since < webhookMayTake || ['processing', 'authorized', 'captured'].includes(current.status)) continue;
      this.#showProblem(current.last_error ? declineText(current.last_error) : '');
      await this.#offer(current, signal);
      return;
    }
  }

  #showProblem(text, focus = false) {
    $('payment-problem').textContent = text;
    show($('payment-problem'), text !== '');
    if (text && focus) $('payment-problem').focus();
  }

  /** Shows the countdown. Its element is not a live region, so that screen readers do not read it every second. */
  #countDown(until) {
    clearInterval(this.#deadline);
    const draw = () => { $('deadline').textContent = until ? remaining(until) : ''; };
    draw();
    if (until) this.#deadline = setInterval(draw, 1_000);
  }
}

/** remaining returns how long the items are reserved: a countdown in the last hour, else the end. */
function remaining(until) {
  const end = new Date(until), left = end - Date.now();
  if (left <= 0) return 'The time to pay is up.';
  if (left > 3_600_000) return `Reserved until ${end.toLocaleString(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'short' })}`;
  return `Reserved for another ${Math.floor(left / 60_000)}:${String(Math.floor(left / 1_000) % 60).padStart(2, '0')} min`;
}

function pause(ms) {
  return new Promise((resume) => { setTimeout(resume, ms); });
}
