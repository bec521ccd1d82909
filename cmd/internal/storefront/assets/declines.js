// Why a payment was refused, in words that say what to do next.
const declines = {
  insufficient_funds: 'There is not enough money on this card. Please use another one.',
  expired_card: 'This card has expired. Please use another one.',
  incorrect_cvc: 'The security code is not right. Please check it.',
  invalid_cvc: 'The security code is not right. Please check it.',
  incorrect_number: 'The card number is not right. Please check it.',
  invalid_number: 'The card number is not right. Please check it.',
  payment_intent_authentication_failure: 'Your bank did not approve the payment. You can try again or use another card.',
  processing_error: 'The card could not be read just now. Please try again in a moment.',
  card_declined: 'The card was declined. You have not been charged. Please use another card.',
  generic_decline: 'The card was declined. You have not been charged. Please use another card.',
};

/** sentence explains an error of the payment provider: {code, decline_code, message}. */
export function sentence(error) {
  return declines[error?.decline_code] ?? declines[error?.code] ?? error?.message ?? 'The payment did not work. Please try again.';
}
