// What each status of an order, and each declined payment, means to the shopper, and what to do next.
import { format } from './view.js';

const all = ['done', 'done', 'done', 'done'];
const refund = (order) => (order.refunded?.amount > 0 ? `We have refunded ${format(order.refunded)}. ` : '');

/** The four steps are placed, reserved, payment and confirmed. Each is done, now, stopped or still to come (''). */
const known = {
  placed: { steps: ['done', 'now', '', ''], headline: 'Reserving your items…',
    story: () => 'This takes a few seconds.' },
  awaiting_payment: { steps: ['done', 'done', 'now', ''], headline: 'Your items are reserved',
    story: () => 'Please pay now to complete your order.' },
  capturing: { steps: ['done', 'done', 'done', 'now'], headline: 'Payment received',
    story: () => 'Thank you. We are confirming your order. This takes a few seconds.' },
  confirmed: { steps: all, headline: 'Thank you, your order is confirmed', final: true, packing: true,
    story: (order) => `We are sending a confirmation to ${order.email}.` },
  rejected: { steps: ['done', 'stopped', '', ''], headline: 'Sorry, some items are out of stock', again: true, final: true,
    story: () => 'You have not been charged.' },
  expired: { steps: ['done', 'done', 'stopped', ''], headline: 'The time to pay has run out', again: true,
    story: () => 'Your items are no longer reserved, and you have not been charged. To order them, add them to your cart again.' },
  cancelled: { steps: ['done', 'done', 'stopped', ''], headline: 'Your order is cancelled', again: true,
    story: (order) => refund(order) || 'You have not been charged. Your bank will release any pending amount.' },
  paid_late: { steps: ['done', 'now', 'done', ''], headline: 'Your payment arrived after the time to pay had run out',
    story: () => 'We are reserving your items again. If they are sold out, you get a full refund.' },
};

/** Confirmed orders by their fulfilment_status. */
const goods = {
  partly_fulfilled: { steps: all, headline: 'Part of your order is on its way', story: () => 'The rest will follow.' },
  fulfilled: { steps: all, headline: 'Your order is on its way', story: () => 'We have shipped all items.' },
  delivered: { steps: all, headline: 'Your order has been delivered', final: true, story: () => 'We hope you like it.' },
};

/** notSent names the goods of an order that are not sent any more. */
const notSent = (order) => (order.cancelled ?? []).map(({ sku, quantity }) => `${quantity} × ${order.lines.find((line) => line.sku === sku)?.title ?? sku}`).join(', ');

/** shortened is a confirmed order of which a part is not sent. */
const shortened = { steps: all, headline: 'Part of your order is not sent', final: true,
  story: (order) => `You do not pay for ${notSent(order)}. Everything else is on its way.` };

/** Confirmed orders by their payment_status. */
const money = {
  authorized: { steps: all, headline: 'Thank you, your order is confirmed', final: true, packing: true,
    story: (order) => `We are sending a confirmation to ${order.email}. We charge your card when we send the goods.` },
  partly_refunded: { steps: all, headline: 'Part of your order is refunded', story: refund },
  refunded: { steps: all, headline: 'Your order is refunded', final: true, story: refund },
};

/** Rejected orders by their reason, except out of stock. A refund may follow, so the page keeps following the order. */
const rejections = {
  paid_too_late: { steps: ['done', 'stopped', 'done', ''], headline: 'Sorry, your payment arrived too late', again: true,
    story: (order) => refund(order) || `Your items were sold out by then. You get a full refund, and an e-mail to ${order.email}.` },
  too_many: { steps: ['done', 'stopped', '', ''], headline: 'Sorry, this is more than we can reserve at once', again: true, final: true,
    story: () => 'You have not been charged. Please order the quantities below, or contact us for a larger order.' },
  payment_not_taken: { steps: ['done', 'done', 'stopped', ''], headline: 'Sorry, the payment could not be started', again: true, final: true,
    story: () => 'Your items are no longer reserved, and you have not been charged. Please order again.' },
};

/** isLimited reports whether all items that stopped an order are in stock, but too many for one order. */
export function isLimited(order) {
  const short = order.reason?.short ?? [];
  return short.length > 0 && short.every(({ limited }) => limited);
}

/** Cancelled orders by their reason, except those that somebody cancelled. */
const cancellations = {
  declined_too_often: { steps: ['done', 'done', 'stopped', ''], headline: 'Your card was declined too often', again: true, final: true,
    story: () => 'We have cancelled the order. Your items are no longer reserved, and you have not been charged. Please order again with another card.' },
  authorization_expired: { steps: ['done', 'done', 'stopped', ''], headline: 'The authorization of your payment has expired', again: true, final: true,
    story: () => 'We had not sent the goods in time, so we have cancelled the order. You have not been charged. To order again, add the items to your cart.' },
};

/** special returns the text of a rejected, cancelled or confirmed order that says more than its status. */
function special(order) {
  if (order.status === 'rejected') return rejections[isLimited(order) ? 'too_many' : order.reason?.code];
  if (order.status === 'cancelled') return cancellations[order.reason?.code];
  if (order.status !== 'confirmed') return undefined;
  if (order.cancelled?.length && !order.refunded) return shortened;
  if (order.payment_status === 'authorized' && order.fulfilment_status !== 'unfulfilled') return goods[order.fulfilment_status];
  return money[order.payment_status] ?? goods[order.fulfilment_status];
}

/** meaning explains an order. A status that this release does not know is shown as it is. */
export function meaning(order) {
  const found = special(order) ?? known[order.status] ?? { steps: ['done', '', '', ''], headline: `Your order is ${order.status.replaceAll('_', ' ')}`, story: () => '' };
  return { ...found, story: found.story(order) };
}

/** why returns the API's reason where the story and the list of shortages do not explain the status. */
export function why(order) {
  const explained = order.status === 'rejected' ? rejections[order.reason?.code] || order.reason?.short?.length : known[order.status];
  return explained ? '' : (order.reason?.message ?? '');
}

/** shortages returns one sentence for each item that stopped an order. */
export function shortages(order) {
  return (order.reason?.short ?? []).map(({ sku, requested, available, limited }) => {
    const title = order.lines.find((line) => line.sku === sku)?.title ?? sku;
    if (limited) return `${title}: up to ${available} in one order, you ordered ${requested}.`;
    return available > 0 ? `${title}: only ${available} left, you ordered ${requested}.` : `${title}: sold out.`;
  });
}

/** remainder returns the items of an order that are still in stock, as cart lines. */
export function remainder(order) {
  const left = new Map((order.reason?.short ?? []).map(({ sku, available }) => [sku, available]));
  return order.lines.map((line) => ({ sku: line.sku, title: line.title, price: line.unit_price,
    quantity: Math.min(line.quantity, left.get(line.sku) ?? line.quantity) })).filter((line) => line.quantity > 0);
}

const declines = {
  insufficient_funds: 'There is not enough money on this card. Please use another card.',
  expired_card: 'This card has expired. Please use another card.',
  incorrect_cvc: 'The security code is wrong. Please check it.',
  invalid_cvc: 'The security code is wrong. Please check it.',
  incorrect_number: 'The card number is wrong. Please check it.',
  invalid_number: 'The card number is wrong. Please check it.',
  payment_intent_authentication_failure: 'Your bank did not approve the payment. Please try again or use another card.',
  processing_error: 'The card could not be processed. Please try again in a moment.',
  card_declined: 'Your card was declined. You have not been charged. Please use another card.',
  generic_decline: 'Your card was declined. You have not been charged. Please use another card.',
};

/** declineText explains an error of the payment provider: {code, decline_code, message}. */
export function declineText(error) {
  return declines[error?.decline_code] ?? declines[error?.code] ?? error?.message ?? 'The payment did not work. Please try again.';
}
