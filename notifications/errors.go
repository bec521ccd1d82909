package notifications

import "errors"

// What a hand-over to a mail server can come to besides success. Any other error means: not delivered, try again later.
var (
	// ErrRefused is returned when the server said no to this mail for good, or the address is none.
	ErrRefused = errors.New("refused for good")
	// ErrShopRefused is returned when the server said no to the shop: to its name, address, account or limits. The mail was
	// not delivered, and every other mail would be refused too until operators or time mend it.
	ErrShopRefused = errors.New("the mail server refuses the shop")
	// ErrUnanswered is returned when the mail was handed over and the line broke, or fell silent, before the server
	// said whether it took it.
	ErrUnanswered = errors.New("handed over, no answer")
	// ErrTemplate is returned when a message cannot be renderOutcome: unknown template or unreadable facts.
	ErrTemplate = errors.New("cannot render")

	// errServerDown ends a dialogue before a recipient was named: the server cannot be reached, or takes no mail at the moment.
	errServerDown = errors.New("the mail server is away")
	// errRecipientDeferred ends a dialogue whose recipient takes no mail for now: greylisted, over quota, a domain that cannot be
	// looked up. The server goes on taking other mails.
	errRecipientDeferred = errors.New("the recipient takes no mail for now")
	// errTakenOver ends a dialogue with the mail server because somebody else settled or took the message meanwhile.
	errTakenOver = errors.New("no longer ours to send")
)
