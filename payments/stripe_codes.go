package payments

import "github.com/stripe/stripe-go/v76"

// class is what a code is about in all operations, unless the table of an operation lists it. It is an [About] or one of the two
// classes whose meaning the operation gives.
type class string

const (
	classAccount         = class(AboutAccount)
	classNow             = class(AboutNow)
	classRequest         = class(AboutRequest)
	classBank      class = "bank"
	classElsewhere class = "elsewhere"
)

// codesOfAll has every code of docs.stripe.com/error-codes and of the SDK, up to stripe-go v85.
var codesOfAll = map[class][]stripe.ErrorCode{
	classAccount: accountCodes, classNow: nowCodes, classRequest: requestCodes, classBank: bankCodes, classElsewhere: elsewhereCodes,
}

// classOf is codesOfAll by code.
var classOf = func() map[stripe.ErrorCode]class {
	byCode := map[stripe.ErrorCode]class{}
	for class, codes := range codesOfAll {
		for _, code := range codes {
			byCode[code] = class
		}
	}
	return byCode
}()

// accountCodes concern the key or the account, and with it every payment. Staff must act in Stripe's dashboard or replace the key.
var accountCodes = []stripe.ErrorCode{
	"account_country_invalid_address", "account_error_country_change_requires_additional_steps", "account_invalid", "api_key_expired",
	"country_unsupported", "not_allowed_on_standard_account", "ownership_declaration_not_allowed", "payment_method_configuration_failures",
	"payment_method_unactivated", "platform_account_required", "platform_api_key_expired", "request_blocked", "secret_key_required",
	"sepa_unsupported_account", "storer_capability_missing", "storer_capability_not_active", "stripe_tax_inactive", "testmode_charges_only",
	"tls_version_unsupported",
}

// nowCodes concern this moment. Stripe or a provider of a payment method is busy.
var nowCodes = []stripe.ErrorCode{
	"idempotency_key_in_use", "lock_timeout", "payment_intent_rate_limit_exceeded", "payment_method_not_available", "payment_method_provider_timeout",
	"payout_reconciliation_not_ready", "rate_limit",
}

// requestCodes concern the request: this release and the API version of the account do not fit together, or an object does not exist.
var requestCodes = []stripe.ErrorCode{
	"application_fees_not_allowed", "balance_invalid_parameter", "charge_invalid_parameter", "invalid_characters", "livemode_mismatch", "missing",
	"parameter_invalid_empty", "parameter_invalid_integer", "parameter_invalid_string_blank", "parameter_invalid_string_empty", "parameter_missing",
	"parameter_unknown", "parameters_exclusive", "payment_intent_incompatible_payment_method", "payment_intent_invalid_parameter",
	"payment_method_currency_mismatch", "payment_method_invalid_parameter", "payment_method_invalid_parameter_testmode",
	"payment_method_unsupported_type", "resource_already_exists", "resource_missing", "url_invalid",
}

// bankCodes concern the card, the bank account or the shopper. They answer attempts to pay, which the shopper's browser makes; the shop's
// own requests get them only when a bank is asked.
var bankCodes = []stripe.ErrorCode{
	"account_closed", "account_information_mismatch", "account_number_invalid", "authentication_required", "bank_account_bad_routing_numbers",
	"bank_account_declined", "bank_account_restricted", "bank_account_unusable", "bank_account_unverified", "bank_account_verification_failed",
	"card_decline_rate_limit_exceeded", "card_declined", "cardholder_phone_number_required", "charge_exceeds_source_limit", "clearing_code_unsupported",
	"debit_not_authorized", "expired_card", "incorrect_address", "incorrect_cvc", "incorrect_number", "incorrect_zip",
	"india_recurring_payment_mandate_canceled", "insufficient_funds", "invalid_card_type", "invalid_cvc", "invalid_expiry_month", "invalid_expiry_year",
	"invalid_mandate_reference_prefix_format", "invalid_number", "no_account", "payment_intent_action_required",
	"payment_intent_authentication_failure", "payment_intent_konbini_rejected_confirmation_number", "payment_intent_mandate_invalid",
	"payment_intent_payment_attempt_expired", "payment_intent_payment_attempt_failed", "payment_method_bank_account_already_verified",
	"payment_method_bank_account_blocked", "payment_method_billing_details_address_missing", "payment_method_customer_decline",
	"payment_method_microdeposit_failed", "payment_method_provider_decline", "payment_method_unexpected_state", "processing_error", "refer_to_customer",
	"routing_number_invalid",
}

// elsewhereCodes answer only some operations. Where the table of an operation lists one, that counts; to other operations they are unlisted.
var elsewhereCodes = []stripe.ErrorCode{
	"account_already_exists", "account_token_required_for_v2_account", "acss_debit_session_incomplete", "alipay_upgrade_required", "amount_too_large",
	"amount_too_small", "balance_insufficient", "bank_account_exists", "billing_invalid_mandate", "bitcoin_upgrade_required",
	"capture_charge_authorization_expired", "capture_unauthorized_payment", "charge_already_captured", "charge_already_refunded", "charge_disputed",
	"charge_exceeds_transaction_limit", "charge_expired_for_capture", "charge_not_refundable", "country_code_invalid", "coupon_expired",
	"customer_max_payment_methods", "customer_max_subscriptions", "customer_session_expired", "customer_tax_location_invalid", "email_invalid",
	"financial_connections_account_inactive", "financial_connections_account_pending_account_numbers",
	"financial_connections_account_unavailable_account_numbers", "financial_connections_no_successful_transaction_refresh", "forwarding_api_inactive",
	"forwarding_api_invalid_parameter", "forwarding_api_retryable_upstream_error", "forwarding_api_upstream_connection_error",
	"forwarding_api_upstream_connection_timeout", "forwarding_api_upstream_error", "instant_payouts_config_disabled",
	"instant_payouts_currency_disabled", "instant_payouts_limit_exceeded", "instant_payouts_unsupported", "intent_invalid_state",
	"intent_verification_method_missing", "invalid_charge_amount", "invalid_source_usage", "invalid_tax_location", "invoice_no_customer_line_items",
	"invoice_no_payment_method_types", "invoice_no_subscription_line_items", "invoice_not_editable", "invoice_on_behalf_of_not_editable",
	"invoice_payment_intent_requires_action", "invoice_upcoming_none", "out_of_inventory", "payment_intent_unexpected_state",
	"payment_method_microdeposit_verification_amounts_invalid", "payment_method_microdeposit_verification_amounts_mismatch",
	"payment_method_microdeposit_verification_attempts_exceeded", "payment_method_microdeposit_verification_descriptor_code_mismatch",
	"payment_method_microdeposit_verification_timeout", "payouts_limit_exceeded", "payouts_not_allowed", "postal_code_invalid", "product_inactive",
	"progressive_onboarding_limit_exceeded", "refund_disputed_payment", "return_intent_already_processed",
	"service_period_coupon_with_metered_tiered_item_unsupported", "setup_attempt_failed", "setup_intent_authentication_failure",
	"setup_intent_invalid_parameter", "setup_intent_mandate_invalid", "setup_intent_mobile_wallet_unsupported", "setup_intent_setup_attempt_expired",
	"setup_intent_unexpected_state", "shipping_address_invalid", "shipping_calculation_failed", "sku_inactive", "state_unsupported",
	"status_transition_invalid", "tax_id_invalid", "tax_id_prohibited", "taxes_calculation_failed", "terminal_location_country_unsupported",
	"terminal_reader_busy", "terminal_reader_hardware_fault", "terminal_reader_invalid_location_for_activation",
	"terminal_reader_invalid_location_for_payment", "terminal_reader_offline", "terminal_reader_timeout", "token_already_used",
	"token_card_network_invalid", "token_in_use", "transfer_source_balance_parameters_mismatch", "transfers_not_allowed",
}
