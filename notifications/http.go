package notifications

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/log"
)

type orderRequest struct {
	Authorization string `header:"Authorization" doc:"Bearer and the staff's token"`
	Order         string `path:"order" doc:"Id of the order"`
}

type orderResponse struct {
	Body document
}

// Register adds the staff's route: what was sent about an order, and how that went.
func (s *Service) Register(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "ops-get-notifications", Method: http.MethodGet, Path: "/ops/api/notifications/{order}",
		Summary: "Messages about an order", Tags: []string{"Operations"}, Errors: []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusServiceUnavailable},
	}, s.get)
}

// get reads the log's own fold, so it is right even while the database is away.
func (s *Service) get(ctx context.Context, r *orderRequest) (*orderResponse, error) {
	token, ok := strings.CutPrefix(r.Authorization, "Bearer ")
	if !ok || !s.config.Access.Staff(token) {
		return nil, huma.ErrorWithHeaders(huma.Error401Unauthorized("this is for staff"), http.Header{"WWW-Authenticate": {"Bearer"}})
	}
	n, _, err := Notifications.Read(ctx, s.log, r.Order)
	switch {
	case errors.Is(err, events.ErrBadID), errors.Is(err, log.ErrNotFound):
		return nil, huma.Error404NotFound("nothing was sent about such an order")
	case errors.Is(err, log.ErrUnavailable), errors.Is(err, context.Canceled): // given up, because this process stops or staff have gone
		return nil, huma.ErrorWithHeaders(huma.Error503ServiceUnavailable("please try again in a moment"), http.Header{"Retry-After": {"2"}})
	case err != nil:
		s.logger.ErrorContext(ctx, "read notifications", "order", r.Order, "error", err)
		return nil, huma.Error500InternalServerError("this went wrong on our side")
	}
	return &orderResponse{Body: documentOf(r.Order, n)}, nil
}
