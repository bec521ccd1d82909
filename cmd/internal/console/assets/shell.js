// What every page needs: keys, copy buttons, the help dialog. Pages work without it.

const typing = (it) => it.closest('input, textarea, select, [contenteditable]');
const rows = () => [...document.querySelectorAll('tr[data-row]')].filter((row) => row.checkVisibility());

// move focuses the row that is `step` rows after the focused one.
function move(step) {
  const all = rows();
  const at = all.indexOf(document.activeElement?.closest('tr[data-row]'));
  const row = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1)];
  if (!row) return;
  row.tabIndex = -1;
  row.focus();
  row.scrollIntoView({block: 'nearest'});
}

const keys = {
  '/': () => document.querySelector('[data-search]')?.focus(),
  '?': () => document.getElementById('help').showModal(),
  j: () => move(1),
  k: () => move(-1),
  x: () => document.activeElement?.closest('tr[data-row]')?.querySelector('input[type=checkbox]')?.click(),
  p: () => document.querySelector('[data-live-toggle]')?.click(),
};

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector('dialog[open]')) return;
  if (event.key === 'Enter' && event.target.matches('tr[data-row]')) {
    event.target.querySelector('a')?.click();
    return;
  }
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

for (const button of document.querySelectorAll('[data-copy]')) {
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector('code')); // without permission: select it instead
    }
  });
}
