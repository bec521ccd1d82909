package payments

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// get reads an object of Stripe's API. refusal is Stripe's answer if it does not allow the key to read that; a server that has no such
// object refuses nothing.
func (c AccountCheck) get(ctx context.Context, path string, into any) (refusal string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(cmp.Or(c.APIBase, "https://api.stripe.com"), "/")+"/v1/"+path, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+c.SecretKey)
	request.Header.Set("Stripe-Version", StripeAPIVersion)
	answer, err := cmp.Or(c.Client, &http.Client{Timeout: stripeTimeout, CheckRedirect: refuseRedirect}).Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	var problem struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	switch answer.StatusCode {
	case http.StatusOK:
		if err := json.Unmarshal(body, into); err != nil {
			return "", fmt.Errorf("read %s: %w", path, err)
		}
		return "", nil
	case http.StatusNotFound:
		return "", nil
	case http.StatusUnauthorized, http.StatusForbidden:
		if json.Unmarshal(body, &problem) != nil {
			problem.Error.Message = http.StatusText(answer.StatusCode)
		}
		return fmt.Sprintf("HTTP %d: %s", answer.StatusCode, problem.Error.Message), nil
	}
	return "", fmt.Errorf("read %s: HTTP %d: %.300s", path, answer.StatusCode, body)
}
