package sandbox

import "encoding/json"

// text is a string that Stripe shows as null when there is none.
type text string

// MarshalJSON implements json.Marshaler.
func (t text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(t))
}

// number is an amount or a time that Stripe shows as null when there is none.
type number int64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if n == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(int64(n))
}

// absent is a property of Stripe's that the sandbox never fills.
type absent *struct{}

// empty is an object of Stripe's that the sandbox leaves empty.
type empty struct{}

// address is a postal address as Stripe shows it.
type address struct {
	City       text `json:"city"`
	Country    text `json:"country"`
	Line1      text `json:"line1"`
	Line2      text `json:"line2"`
	PostalCode text `json:"postal_code"`
	State      text `json:"state"`
}

// shipping is where the goods go, as the shop told Stripe.
type shipping struct {
	Address        address `json:"address"`
	Carrier        text    `json:"carrier"`
	Name           text    `json:"name"`
	Phone          text    `json:"phone"`
	TrackingNumber text    `json:"tracking_number"`
}

func readShipping(f form) *shipping {
	if !f.hasNested("shipping") {
		return nil
	}
	at := func(name string) text { return text(f["shipping["+name+"]"]) }
	in := func(name string) text { return text(f["shipping[address]["+name+"]"]) }
	return &shipping{
		Address: address{
			City: in("city"), Country: in("country"), Line1: in("line1"), Line2: in("line2"),
			PostalCode: in("postal_code"), State: in("state"),
		},
		Carrier: at("carrier"), Name: at("name"), Phone: at("phone"), TrackingNumber: at("tracking_number"),
	}
}

// billing is the empty billing address of cards that were given without one.
type billing struct {
	Address address `json:"address"`
	Email   text    `json:"email"`
	Name    text    `json:"name"`
	Phone   text    `json:"phone"`
}

// paymentMethod is the public face of a card.
type paymentMethod struct {
	ID             string      `json:"id"`
	Object         string      `json:"object"`
	BillingDetails billing     `json:"billing_details"`
	Card           cardDetails `json:"card"`
	Created        int64       `json:"created"`
	Customer       absent      `json:"customer"`
	Livemode       bool        `json:"livemode"`
	Metadata       empty       `json:"metadata"`
	Type           string      `json:"type"`
}

type cardDetails struct {
	Brand    string `json:"brand"`
	Checks   checks `json:"checks"`
	Country  string `json:"country"`
	ExpMonth int64  `json:"exp_month"`
	ExpYear  int64  `json:"exp_year"`
	Funding  string `json:"funding"`
	Last4    string `json:"last4"`
	Wallet   absent `json:"wallet"`
}

type checks struct {
	AddressLine1Check      text `json:"address_line1_check"`
	AddressPostalCodeCheck text `json:"address_postal_code_check"`
	CVCCheck               text `json:"cvc_check"`
}

// details is the card's public part.
func (c card) details() cardDetails {
	cvc := text("pass")
	if c.Refusal == "cvc" {
		cvc = "fail"
	}
	return cardDetails{
		Brand: c.Brand, Checks: checks{CVCCheck: cvc}, Country: "US",
		ExpMonth: c.ExpMonth, ExpYear: c.ExpYear, Funding: c.Funding, Last4: c.Last4,
	}
}

// method shows the card as the payment method with that id.
func (c card) method(id string, created int64) *paymentMethod {
	return &paymentMethod{ID: id, Object: "payment_method", Card: c.details(), Created: created, Type: "card"}
}
