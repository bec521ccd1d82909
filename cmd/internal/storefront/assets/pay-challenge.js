// 3-D Secure in the sandbox's form: the bank's page is shown in a dialog, as Stripe's own form does.
import { el } from './view.js';

/**
 * challenge shows the bank's page until the bank has an answer or the shopper closes the dialog. read reads the intent; challenge resolves
 * to what it has returned last.
 */
export function challenge(page, read) {
  const frame = el('iframe', { title: 'Your bank', src: page });
  const close = el('button', { className: 'button quiet', type: 'button', textContent: 'Close' });
  const dialog = el('dialog', { className: 'bank', ariaLabel: 'Confirm your payment with your bank', ariaBusy: 'true' },
    frame, el('p', { className: 'dialog-buttons' }, close));
  close.addEventListener('click', () => dialog.close());
  // The frame loads the bank's question and then, after the shopper's choice, its answer.
  frame.addEventListener('load', async () => {
    if (dialog.ariaBusy) { dialog.ariaBusy = null; frame.focus(); return; }
    if ((await read()).status !== 'requires_action') dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => { dialog.remove(); resolve(read()); });
  });
}
