// Prices come as whole numbers of the smallest coin; only here do they become text. The table is the server's: it says
// how the amounts were counted, which is not for every currency what Intl would assume.
const digits = { BIF: 0, CLP: 0, DJF: 0, GNF: 0, JPY: 0, KMF: 0, KRW: 0, MGA: 0, PYG: 0, RWF: 0, VND: 0, VUV: 0,
  XAF: 0, XOF: 0, XPF: 0, BHD: 3, JOD: 3, KWD: 3, OMR: 3, TND: 3 };

/** format writes {amount, currency} for a reader of the page's language. */
export function format({ amount, currency }) {
  const decimals = digits[currency] ?? 2;
  return new Intl.NumberFormat(document.documentElement.lang, { style: 'currency', currency,
    minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(amount / 10 ** decimals);
}
