// Live pages: Server-Sent Events of the address in [data-live-from]. An event "parts" replaces elements by their data-live name; an
// event "row" is added to the top of the table body in [data-live-rows]. What is being read does not move: while the page is
// scrolled, or a row has the focus, new rows wait behind a button.

const state = document.querySelector('[data-live-state]');
const text = state?.querySelector('[data-live-text]');
const toggle = state?.querySelector('[data-live-toggle]');
const body = document.querySelector('[data-live-rows]');
const maxRows = 500;
const maxWaiting = 1000;
let source;
let paused = false;
let last = document.querySelector('[data-live-from]')?.dataset.liveAfter ?? '';
let waiting = [];
let newest; // the time of what is shown
let announced;

// show changes the words beside the dot. They are a live region: they change with the state and not with every event.
function show(name, words) {
  if (state.dataset.liveState === name) return;
  state.dataset.liveState = name;
  text.textContent = words;
  toggle.textContent = name === 'paused' ? 'Continue' : 'Pause';
}

const reading = () => scrollY > 80 || body?.contains(document.activeElement);
const more = document.createElement('button');
more.type = 'button';
more.className = 'more-rows';
more.hidden = true;
more.addEventListener('click', () => { flush(); scrollTo({top: 0}); });
body?.closest('.table-wrap')?.before(more);

function flush() {
  const rows = waiting;
  waiting = [];
  more.hidden = true;
  for (const row of rows) body.insertAdjacentHTML('afterbegin', row);
  while (body.rows.length > maxRows) body.lastElementChild.remove();
  document.querySelector('[data-live-empty]')?.setAttribute('hidden', '');
}

function addRow(row) {
  waiting.push(row);
  if (waiting.length > maxWaiting) waiting.shift();
  if (!reading()) return flush();
  more.hidden = false;
  more.textContent = waiting.length === 1 ? 'Show 1 new event' : `Show ${waiting.length} new events`;
}

function replaceParts(parts) {
  for (const [name, html] of Object.entries(parts)) {
    const part = document.querySelector(`[data-live="${name}"]`);
    if (part && !part.contains(document.activeElement) && part.innerHTML !== html) part.innerHTML = html;
  }
}

// The text of [data-announce] is read out when it changes, such as the end of a replay.
function announce() {
  const words = [...document.querySelectorAll('[data-announce]')].map((it) => it.textContent).join(' ').trim();
  if (announced !== undefined && words && words !== announced) document.querySelector('[data-announcement]').textContent = words;
  announced = words;
}

function open() {
  const address = new URL(document.querySelector('[data-live-from]').dataset.liveFrom, location.href);
  if (last) address.searchParams.set('after', last);
  source = new EventSource(address);
  source.addEventListener('open', () => { newest = new Date(); show('live', 'live'); });
  source.addEventListener('error', () => {
    show('reconnecting', `reconnecting, as of ${(newest ?? new Date()).toISOString().slice(11, 16)} UTC`);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => { if (!paused) open(); }, 3000); // the server refused
  });
  source.addEventListener('parts', (event) => { newest = new Date(); replaceParts(JSON.parse(event.data)); announce(); });
  source.addEventListener('row', (event) => { last = event.lastEventId; addRow(JSON.parse(event.data)); });
}

if (state) {
  announce();
  toggle.hidden = false;
  toggle.addEventListener('click', () => {
    paused = !paused;
    if (paused) { source.close(); show('paused', 'paused'); } else open();
  });
  document.addEventListener('visibilitychange', () => { // a hidden page costs nothing
    if (paused) return;
    if (document.hidden) source.close(); else open();
  });
  open();
}
