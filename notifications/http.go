package notifications

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/log"
)

type orderRequest struct {
	Authorization string `header:"Authorization" hidden:"true"`
	Order         string `path:"order" doc:"Id of the order"`
}

type orderResponse struct {
	Body document
}

// document is an order's messages as staff see them.
type document struct {
	OrderID   string    `json:"order_id"`
	Status    Status    `json:"status"`     // of the message that most needs somebody's attention
	ChangedAt time.Time `json:"changed_at"` // of the message that changed last
	Messages  []Message `json:"messages"`
}

// attention ranks the states: what staff should look at comes last.
var attention = []Status{StatusSent, StatusQueued, StatusSending, StatusFailed, StatusUnknown}

func documentOf(id string, n Notification) document {
	d := document{OrderID: id, Status: StatusSent, Messages: slices.Clone(n.Messages)}
	for _, m := range n.Messages {
		if slices.Index(attention, m.Status) > slices.Index(attention, d.Status) {
			d.Status = m.Status
		}
		if m.ChangedAt.After(d.ChangedAt) {
			d.ChangedAt = m.ChangedAt
		}
	}
	return d
}

// Register adds the staff's route: what was sent about an order, and how that went.
func (s *Service) Register(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "ops-get-notifications", Method: http.MethodGet, Path: "/ops/api/notifications/{order}",
		Summary: "Messages about an order", Security: []map[string][]string{{"staff": {}}}, Tags: []string{"Operations"}, Errors: []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusServiceUnavailable},
	}, s.get)
}

// get reads the log, so it is right even while the database is away.
func (s *Service) get(ctx context.Context, r *orderRequest) (*orderResponse, error) {
	if !s.config.Access.Staff(r.Authorization) {
		return nil, huma.ErrorWithHeaders(huma.Error401Unauthorized("this is for staff"), http.Header{"WWW-Authenticate": {"Bearer"}})
	}
	n, _, err := Notifications.Read(ctx, s.log, r.Order)
	switch {
	case errors.Is(err, events.ErrBadID), errors.Is(err, log.ErrNotFound):
		return nil, huma.Error404NotFound("nothing was sent about such an order")
	case errors.Is(err, log.ErrUnavailable), errors.Is(err, log.ErrUnreadable), errors.Is(err, context.Canceled): // given up, because this process stops or staff have gone
		return nil, huma.ErrorWithHeaders(huma.Error503ServiceUnavailable("please try again in a moment"), http.Header{"Retry-After": {"2"}})
	case err != nil:
		s.logger.ErrorContext(ctx, "read notifications", "order", r.Order, "error", err)
		return nil, huma.Error500InternalServerError("this went wrong on our side")
	}
	return &orderResponse{Body: documentOf(r.Order, n)}, nil
}
