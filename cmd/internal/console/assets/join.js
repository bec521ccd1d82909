// The token of a one-time link is the fragment of its address. It moves into the form, and out of the history of the browser.
const token = location.hash.slice(1);
if (token) {
  document.getElementById('link').value = decodeURIComponent(token);
  document.querySelector('[data-link-field]').hidden = true;
  history.replaceState(null, '', location.pathname);
}
