// What each status means to a shopper: how far the order is, and what to say and do.
import { format } from './money.js';

const all = ['done', 'done', 'done', 'done'];
const refund = (order) => (order.refunded?.amount > 0 ? `We have returned ${format(order.refunded)} to you. ` : '');

/** steps: placed, set aside, payment, confirmed; each done, now, stopped or still to come (''). */
const known = {
  placed: { steps: ['done', 'now', '', ''], headline: 'Setting your things aside…',
    story: () => 'We are holding every item for you. This takes a moment.' },
  awaiting_payment: { steps: ['done', 'done', 'now', ''], headline: 'Your things are set aside',
    story: () => 'Pay now and they are yours.' },
  capturing: { steps: ['done', 'done', 'done', 'now'], headline: 'Payment received',
    story: () => 'Thank you. We are confirming your order; this takes a moment.' },
  confirmed: { steps: all, headline: 'Thank you, your order is confirmed', final: true,
    story: (order) => `A confirmation is on its way to ${order.email}. We pack your things next.` },
  rejected: { steps: ['done', 'stopped', '', ''], headline: 'Sorry, we could not set everything aside', again: true, final: true,
    story: () => 'There was not enough on the shelf. You have not been charged.' },
  expired: { steps: ['done', 'done', 'stopped', ''], headline: 'The time to pay has run out', again: true,
    story: () => 'Your things are back on the shelf and you have not been charged. If you still want them, put them in the cart again.' },
  cancelled: { steps: ['done', 'done', 'stopped', ''], headline: 'This order is cancelled', again: true,
    story: (order) => refund(order) || 'You have not been charged. If your bank shows a pending amount, it disappears by itself.' },
  paid_late: { steps: ['done', 'now', 'done', ''], headline: 'Your payment arrived after the time had run out',
    story: () => 'We are trying to set your things aside once more. If they are gone, you get your money back in full.' },
};

/** What a confirmed order says besides, by where its goods and its money stand. */
const goods = {
  partly_fulfilled: { steps: all, headline: 'Part of your order is on its way', story: () => 'The rest follows.' },
  fulfilled: { steps: all, headline: 'Your order is on its way', story: () => 'It has left our shelves.' },
  delivered: { steps: all, headline: 'Your order has arrived', final: true, story: () => 'We hope you like it.' },
};
const money = {
  partly_refunded: { steps: all, headline: 'Part of your money is on its way back', story: refund },
  refunded: { steps: all, headline: 'Your money is on its way back', final: true, story: refund },
};

/** special is what a rejected or a confirmed order says instead of what its status alone would. */
function special(order) {
  if (order.status === 'rejected') return rejections[order.reason?.code];
  if (order.status !== 'confirmed') return undefined;
  return money[order.payment_status] ?? goods[order.fulfilment_status];
}

/** What a rejection means besides an empty shelf, by its reason. Money may have to go back, so the page goes on watching. */
const rejections = {
  paid_too_late: { steps: ['done', 'stopped', 'done', ''], headline: 'Sorry, your payment came too late', again: true,
    story: (order) => refund(order) || `Your things had been sold by then. You get your money back in full; we write to ${order.email} about it.` },
  payment_not_taken: { steps: ['done', 'done', 'stopped', ''], headline: 'Sorry, the payment could not be started', again: true, final: true,
    story: () => 'Your things are back on the shelf.' },
};

/** meaning explains an order. A status that this page is too old to know is shown as it is. */
export function meaning(order) {
  const found = special(order) ?? known[order.status] ?? { steps: ['done', '', '', ''], headline: `Your order is ${order.status.replaceAll('_', ' ')}`, story: () => '' };
  return { ...found, story: found.story(order) };
}

/** why is the reason the shop gives where it adds to the story. */
export function why(order) {
  return order.status === 'rejected' && order.reason?.short?.length ? '' : (order.reason?.message ?? '');
}

/** shortages are one sentence per item that there was too little of. */
export function shortages(order) {
  return (order.reason?.short ?? []).map(({ sku, requested, available }) => {
    const title = order.lines.find((line) => line.sku === sku)?.title ?? sku;
    return available > 0 ? `${title}: you asked for ${requested}, ${available} ${available === 1 ? 'is' : 'are'} left.`
      : `${title}: sold out.`;
  });
}

/** remainder is what of the order can still be had, as cart lines. */
export function remainder(order) {
  const left = new Map((order.reason?.short ?? []).map(({ sku, available }) => [sku, available]));
  return order.lines.map((line) => ({ sku: line.sku, title: line.title, price: line.unit_price,
    quantity: Math.min(line.quantity, left.get(line.sku) ?? line.quantity) })).filter((line) => line.quantity > 0);
}
