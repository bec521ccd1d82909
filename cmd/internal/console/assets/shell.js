// What every page needs: keys, copy buttons, the help dialog, the result of an action. Pages work without it.

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

// The page that is open is in sight where the navigation scrolls sideways.
const nav = document.querySelector('nav.side');
const current = nav?.querySelector('[aria-current]');
if (current) nav.scrollLeft = current.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;

for (const button of document.querySelectorAll('[data-help]')) {
  button.hidden = false;
  button.addEventListener('click', () => { button.closest('details')?.removeAttribute('open'); keys['?'](); });
}

document.querySelector('details.account')?.addEventListener('keydown', ({key, currentTarget}) => {
  if (key !== 'Escape' || !currentTarget.open) return;
  currentTarget.open = false;
  currentTarget.querySelector('summary').focus();
});

// A result has the focus, so that it is read out and the next Tab goes on from it. After a refusal the form has again what was typed.
const typed = 'console-form';
const secret = (field) => field.type === 'password' || field.type === 'hidden' || field.name === 'code';
document.addEventListener('submit', ({target}) => {
  if (target.method !== 'post') return;
  const fields = [...target.elements].filter((it) => it.name && !secret(it)).map((it) => [it.name, it.type === 'checkbox' ? it.checked : it.value]);
  sessionStorage.setItem(typed, JSON.stringify({action: target.action, fields}));
});

function refill(flash) {
  const kept = JSON.parse(sessionStorage.getItem(typed) ?? 'null');
  const form = [...document.forms].find((it) => it.method === 'post' && it.action === kept?.action);
  if (!form) return;
  for (const details of [...document.querySelectorAll('details')].filter((it) => it.contains(form))) details.open = true;
  const fields = [...form.elements].filter((it) => it.name && !secret(it));
  fields.forEach((field, i) => {
    const [name, value] = kept.fields[i] ?? [];
    if (name !== field.name) return;
    if (field.type === 'checkbox') field.checked = value; else field.value = value;
  });
  for (const field of [fields[0], form.querySelector('button')]) field?.setAttribute('aria-describedby', flash.id);
}

const flash = document.getElementById('flash');
if (flash) {
  if (flash.classList.contains('bad')) refill(flash);
  flash.focus();
}
sessionStorage.removeItem(typed);

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
