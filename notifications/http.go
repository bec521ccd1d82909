package notifications

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
)

type orderRequest struct {
	Order string `path:"order" doc:"Id of the order"`
}

type orderResponse struct {
	Body document
}

// document is the messages about an order, as staff see them.
type document struct {
	OrderID   string    `json:"order_id"`
	Status    Status    `json:"status"`     // of the message that most needs attention
	ChangedAt time.Time `json:"changed_at"` // of the message that changed last
	Messages  []Message `json:"messages"`
}

// attention lists the states by how much they need the attention of staff, the least first.
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

// problems maps the errors of this API to its answers.
var problems = []api.Problem{
	{Err: events.ErrBadID, Kind: api.NotFound, Detail: detailNone},
	{Err: eventlog.ErrNotFound, Kind: api.NotFound, Detail: detailNone},
	{Err: ErrTemplate, Kind: api.Conflict},
}

const detailNone = "There are no messages about this order."

// Register adds the routes on which staff read the messages about an order, and what a mail says.
func (s *Service) Register(router huma.API) {
	operation := func(id, path, summary string, errors ...int) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Security: api.StaffSecurity, Tags: []string{"Operations"},
			Middlewares: huma.Middlewares{api.RequireStaff(router, s.config.Access, api.ReadAll)},
			Errors:      append(errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusServiceUnavailable)}
	}
	huma.Register(router, operation("ops-get-notifications", "/ops/api/notifications/{order}", "Messages about an order"), s.get)
	huma.Register(router, operation("ops-get-mail", "/ops/api/notifications/{order}/mails/{message}", "What a mail says, rendered again", http.StatusConflict), s.getContent)
}

// get reads the log, so it answers while the database is down.
func (s *Service) get(ctx context.Context, r *orderRequest) (*orderResponse, error) {
	n, _, err := Notifications.Read(ctx, s.log, r.Order)
	if err != nil {
		return nil, api.Problems{Logger: s.logger, Table: problems}.Answer(ctx, err)
	}
	return &orderResponse{Body: documentOf(r.Order, n)}, nil
}
