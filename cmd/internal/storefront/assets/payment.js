// The payment part of the order page: gets the intent's secret, shows the right form, and tells what came of it. What
// the form reports is only a hint for the shopper; whether the order is paid is said by the order itself.
import { Problem, call } from './api.js';
import { sentence } from './declines.js';
import { $, show } from './dom.js';
import { format } from './money.js';
import { elementForm } from './pay-element.js';
import { sandboxForm } from './pay-sandbox.js';

const askEvery = 2_000;
// How long an old failure may still be told after a payment that worked: the webhook is on its way.
const newsMayTake = 15_000;

/** PaymentPanel is opened with an order that waits for payment and closed by any other status. */
export class PaymentPanel {
  #asked; #form = null; #deadline = null;

  constructor({ path, token, sandbox, returned }) {
    Object.assign(this, { path, token, sandbox, returned });
  }

  open(order) {
    this.#tick(order.expires_at);
    if (this.#asked) return;
    this.#asked = new AbortController();
    show($('payment'), true);
    this.#prepare(this.#asked.signal);
  }

  close() {
    this.#asked?.abort();
    this.#asked = null;
    clearInterval(this.#deadline);
    show($('payment'), false);
  }

  #ask(signal) {
    return call(`${this.path}/payment?wait=20`, { token: this.token, signal });
  }

  /** Waits for the secret, then shows the form, or that the payment is already under way. */
  async #prepare(signal) {
    let payment = null;
    while (!signal.aborted && !payment?.client_secret) {
      payment = await this.#ask(signal).catch((problem) => this.#trouble(problem, signal));
      if (!payment?.client_secret && !signal.aborted) await pause(payment ? 250 : askEvery);
    }
    if (signal.aborted) return;
    this.#say('');
    if (this.returned === 'succeeded' || ['processing', 'authorized', 'captured'].includes(payment.status)) {
      await this.#settle(payment, signal);
      return;
    }
    if (this.returned === 'failed') this.#say(sentence({ code: 'payment_intent_authentication_failure' }));
    else if (payment.status === 'failed') this.#say(sentence(payment.last_error));
    await this.#offer(payment, signal);
  }

  #trouble(problem, signal) {
    if (signal.aborted) return null;
    if (!(problem instanceof Problem)) throw problem;
    this.#say('The payment cannot be reached right now. We keep trying; your things stay set aside meanwhile.');
    return null;
  }

  async #offer(payment, signal) {
    this.returned = null;
    show($('payment-wait'), false);
    show($('payment-form'), true);
    if (this.#form?.secret === payment.client_secret) { this.#form.idle(); return; }
    const make = this.sandbox ? sandboxForm : elementForm;
    const handlers = { label: `Pay ${format(payment)}`, returnURL: location.origin + location.pathname, sandbox: this.sandbox,
      onPaid: () => this.#settle(payment, signal), onProblem: (text, focus) => this.#say(text, focus) };
    this.#form = await make($('payment-form'), payment, handlers);
  }

  /** The provider has the payment; the order will say so. If it does not, the payment failed after all. */
  async #settle(payment, signal) {
    this.#say('');
    show($('payment-form'), false);
    $('payment-wait').textContent = 'Payment received. Confirming your order…';
    show($('payment-wait'), true);
    const since = Date.now();
    while (!signal.aborted) {
      await pause(askEvery);
      if (signal.aborted) return;
      const now = await this.#ask(signal).catch((problem) => this.#trouble(problem, signal));
      if (!now || Date.now() - since < newsMayTake || ['processing', 'authorized', 'captured'].includes(now.status)) continue;
      this.#say(now.status === 'failed' ? sentence(now.last_error) : '');
      await this.#offer(now, signal);
      return;
    }
  }

  #say(text, focus = false) {
    $('payment-problem').textContent = text;
    show($('payment-problem'), text !== '');
    if (text && focus) $('payment-problem').focus();
  }

  /** Counts down without being read aloud every second: the element is no live region. */
  #tick(until) {
    clearInterval(this.#deadline);
    const draw = () => { $('deadline').textContent = until ? remaining(until) : ''; };
    draw();
    if (until) this.#deadline = setInterval(draw, 1_000);
  }
}

/** remaining says how long things are held: a clock for the last hour, else when it ends. */
function remaining(until) {
  const end = new Date(until), left = end - Date.now();
  if (left <= 0) return 'The time to pay is running out now.';
  if (left > 3_600_000) return `Held for you until ${end.toLocaleString(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'short' })}`;
  return `Held for you for another ${Math.floor(left / 60_000)}:${String(Math.floor(left / 1_000) % 60).padStart(2, '0')} min`;
}

function pause(ms) {
  return new Promise((resume) => { setTimeout(resume, ms); });
}
