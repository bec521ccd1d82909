const unavailable = 'The shop cannot be reached right now. Please check your connection and try again.';
const refused = 'This did not work. Please reload the page and try again.';

/** Problem is an answer that reports an error (an RFC 9457 problem), or no answer (status 0). */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || (status === 0 || status >= 500 ? unavailable : refused));
    this.status = status;
    this.errors = Array.isArray(body?.errors) ? body.errors : [];
  }
}

/** request calls the shop's API and returns the Response. It throws a Problem unless the call succeeds. */
export async function request(path, { method = 'GET', body, token, headers = {}, signal } = {}) {
  const all = { Accept: 'application/json', ...headers };
  if (body !== undefined) all['Content-Type'] = 'application/json';
  if (token) all.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { method, body, headers: all, signal, cache: 'no-store' });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0);
  }
  if (response.ok) return response;
  throw new Problem(response.status, await response.json().catch(() => null));
}

/** call is request for JSON answers. An answer that breaks off counts as no answer. */
export async function call(path, options) {
  const response = await request(path, options);
  try {
    return await response.json();
  } catch (error) {
    if (options?.signal?.aborted) throw error;
    throw new Problem(0);
  }
}
