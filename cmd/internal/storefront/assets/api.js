/** Problem is an answer that is no success: an RFC 9457 problem, or status 0 when there was no answer at all. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || 'The shop did not understand that.');
    this.status = status;
    this.errors = Array.isArray(body?.errors) ? body.errors : [];
  }
}

const unreachable = { detail: 'The shop cannot be reached right now. Please check your connection and try again.' };

/** request asks our own API and returns the Response; it throws a Problem unless that is a success. */
export async function request(path, { method = 'GET', body, token, headers = {}, signal } = {}) {
  const all = { Accept: 'application/json', ...headers };
  if (body !== undefined) all['Content-Type'] = 'application/json';
  if (token) all.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { method, body, headers: all, signal, cache: 'no-store' });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, unreachable);
  }
  if (response.ok) return response;
  throw new Problem(response.status, await response.json().catch(() => ({ title: response.statusText })));
}

/** call is request for those who want the JSON. An answer that breaks off says as little as none at all. */
export async function call(path, options) {
  const response = await request(path, options);
  try {
    return await response.json();
  } catch (error) {
    if (options?.signal?.aborted) throw error;
    throw new Problem(0, unreachable);
  }
}
