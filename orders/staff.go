package orders

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
)

type listInput struct {
	Authorization string        `header:"Authorization" hidden:"true"`
	Status        Status        `query:"status" enum:"placed,awaiting_payment,capturing,confirmed,rejected,expired,cancelled,paid_late"`
	Payment       PaymentStatus `query:"payment_status" enum:"unpaid,authorized,paid,partly_refunded,refunded"`
	Q             string        `query:"q" maxLength:"254" doc:"An e-mail address, an order number or an id"`
	Limit         int           `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor        string        `query:"cursor" maxLength:"200"`
}

type listedOrder struct {
	ID               string           `json:"id"`
	Number           string           `json:"number"`
	Status           Status           `json:"status"`
	PaymentStatus    PaymentStatus    `json:"payment_status"`
	FulfilmentStatus FulfilmentStatus `json:"fulfilment_status"`
	Email            string           `json:"email"`
	Total            events.Money     `json:"total"`
	PlacedAt         time.Time        `json:"placed_at"`
}

type listOutput struct {
	Body struct {
		Orders     []listedOrder `json:"orders"`
		NextCursor string        `json:"next_cursor,omitempty"`
	}
}

func (s *Service) listForStaff(ctx context.Context, in *listInput) (*listOutput, error) {
	if !s.config.Access.Staff(in.Authorization) {
		return nil, huma.Error404NotFound("there is nothing here, or it is not for you")
	}
	found, next, err := s.list(ctx, query{Status: in.Status, Payment: in.Payment, Text: in.Q, Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, s.problem(err)
	}
	out := &listOutput{}
	out.Body.NextCursor = next
	out.Body.Orders = make([]listedOrder, 0, len(found))
	for _, o := range found {
		out.Body.Orders = append(out.Body.Orders, listedOrder{ID: o.ID, Number: o.Number, Status: o.Status, PaymentStatus: o.Payment, FulfilmentStatus: o.Fulfilment, Email: o.Customer.Email, Total: o.Total, PlacedAt: o.PlacedAt})
	}
	return out, nil
}
