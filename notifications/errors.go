package notifications

import "errors"

// What a hand-over to a mail server can come to besides success. Any other error means: not delivered, try again later.
var (
	// ErrRefused is returned when the server said no for good (a 5xx reply), or the address is none.
	ErrRefused = errors.New("refused for good")
	// ErrUnanswered is returned when the mail was handed over and the line broke, or fell silent, before the server
	// said whether it took it.
	ErrUnanswered = errors.New("handed over, no answer")
	// ErrTemplate is returned when a message cannot be rendered: unknown template or unreadable facts.
	ErrTemplate = errors.New("cannot render")

	// errNotOurs ends a dialogue with the mail server because somebody else settled or took the message meanwhile.
	errNotOurs = errors.New("no longer ours to send")
)
