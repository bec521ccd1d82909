// Follows an order by Server-Sent Events. EventSource cannot send an Authorization header, and a token in the URL would
// end up in logs, so the stream is read with fetch. A stream that breaks is opened again, with a backoff. While it cannot
// be opened, the order is polled.
import { Problem, call, request } from './api.js';

const firstEventWithin = 8_000, silenceLimit = 45_000; // the server sends a comment every 15 s
const backoff = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

/** events yields the data of each event in the stream, and calls onBytes for each chunk. */
async function* events(stream, onBytes) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '', data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onBytes();
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data:')) data.push(line.slice(5).trimStart());
      else if (line === '' && data.length) { yield data.join('\n'); data = []; }
    }
  }
}

/** read calls onOrder for every event of one connection, until the server closes it. */
async function read(path, token, onOrder, outer) {
  const inner = new AbortController(), stop = () => inner.abort();
  let timer = setTimeout(stop, firstEventWithin);
  const onBytes = () => { clearTimeout(timer); timer = setTimeout(stop, silenceLimit); };
  outer.addEventListener('abort', stop);
  try {
    const response = await request(`${path}/events`,
      { token, signal: inner.signal, headers: { Accept: 'text/event-stream' } });
    if (!response.headers.get('Content-Type')?.startsWith('text/event-stream')) throw new Problem(0);
    for await (const data of events(response.body, onBytes)) onOrder(JSON.parse(data));
  } finally {
    clearTimeout(timer);
    outer.removeEventListener('abort', stop);
    stop();
  }
}

function pause(ms, signal) {
  return new Promise((resume) => {
    const go = () => { clearTimeout(timer); removeEventListener('online', go); signal.removeEventListener('abort', go); resume(); };
    const timer = setTimeout(go, ms);
    addEventListener('online', go);
    signal.addEventListener('abort', go);
  });
}

/** isPermanent reports whether a retry cannot help, such as after a wrong token. */
function isPermanent(error) {
  return error instanceof Problem && error.status >= 400 && error.status < 500 && ![408, 425, 429].includes(error.status);
}

/**
 * follow calls onOrder with the order now and at every change, and onConnection with whether the order is up to date,
 * until the signal aborts. It throws a Problem that is permanent.
 */
export async function follow(path, token, { onOrder, onConnection, signal }) {
  let failures = 0;
  const onEvent = (order) => { failures = 0; onConnection(true); onOrder(order); };
  while (!signal.aborted) {
    try {
      await read(path, token, onEvent, signal);
    } catch (error) {
      if (isPermanent(error)) throw error;
    }
    if (signal.aborted) return;
    failures += 1;
    if (failures > 1) await poll(path, token, { onOrder, onConnection, signal });
    await pause(backoff[Math.min(failures, backoff.length) - 1] * (0.75 + Math.random() / 2), signal);
  }
}

async function poll(path, token, { onOrder, onConnection, signal }) {
  try {
    const order = await call(path, { token, signal });
    onConnection(true);
    onOrder(order);
  } catch (error) {
    if (isPermanent(error)) throw error;
    if (!signal.aborted) onConnection(false);
  }
}
