package sandbox

// ifAvailable is the value of a requested feature that not every account and card has.
const ifAvailable = "if_available"

// methodOptions are the settings of an intent by payment method, as Stripe shows them.
type methodOptions struct {
	Card *cardOptions `json:"card,omitempty"`
}

type cardOptions struct {
	CaptureMethod       string `json:"capture_method,omitempty"`
	Installments        absent `json:"installments"`
	MandateOptions      absent `json:"mandate_options"`
	Network             absent `json:"network"`
	RequestMulticapture string `json:"request_multicapture,omitempty"`
	RequestThreeDSecure string `json:"request_three_d_secure"`
}

// readOptions reads payment_method_options. The sandbox ignores those of methods that it does not have.
func (in *intent) readOptions(f form) (problem *apiError) {
	const prefix = "payment_method_options[card]"
	if !f.hasNested(prefix) {
		return nil
	}
	o := cardOptions{RequestThreeDSecure: "automatic"}
	if in.PaymentMethodOptions.Card != nil {
		o = *in.PaymentMethodOptions.Card
	}
	if f.has(prefix + "[capture_method]") {
		if o.CaptureMethod, problem = f.oneOf(prefix+"[capture_method]", captureManual); problem != nil {
			return problem
		}
	}
	if f.has(prefix + "[request_multicapture]") {
		if o.RequestMulticapture, problem = f.oneOf(prefix+"[request_multicapture]", ifAvailable, "never"); problem != nil {
			return problem
		}
	}
	if f.has(prefix + "[request_three_d_secure]") {
		if o.RequestThreeDSecure, problem = f.oneOf(prefix+"[request_three_d_secure]", "automatic", "any", "challenge"); problem != nil {
			return problem
		}
	}
	in.PaymentMethodOptions.Card = &o
	return nil
}

// manual reports whether a charge of the intent's payment method waits for its capture. Only cards do.
func (in *intent) manual() bool {
	if in.private.Card == nil {
		return false
	}
	o := in.PaymentMethodOptions.Card
	return in.CaptureMethod == captureManual || o != nil && o.CaptureMethod == captureManual
}
