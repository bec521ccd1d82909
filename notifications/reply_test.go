package notifications

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// refusals are replies of real servers at each stage, and how they must be classified.
var refusals = []struct {
	at   stage
	text string
	want refusal
}{
	{stageConnect, "421 4.7.0 Try again later, closing connection", temporary},
	{stageConnect, "554 5.7.1 Service unavailable; blocked", shopRefused},
	{stageConnect, "501 Syntactically invalid HELO argument(s)", shopRefused},
	{stageConnect, "535 5.7.8 Username and Password not accepted", shopRefused},
	{stageConnect, "454 4.7.0 Temporary authentication failure", temporary},
	{stageMail, "451 4.3.0 Mail server temporarily rejected message", temporary},
	{stageMail, "530 5.7.57 Client not authenticated to send mail", shopRefused},
	{stageMail, "550 5.7.1 not you", shopRefused},
	{stageMail, "552 too much mail", shopRefused},
	{stageMail, "553 5.1.7 The sender address is not a valid RFC 5321 address", shopRefused},

	// Postfix: refusals of EHLO, client and sender, which it delays until RCPT.
	{stageRcpt, "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname", shopRefused},
	{stageRcpt, "550 5.7.1 <shop>: Helo command rejected: Host not found", shopRefused},
	{stageRcpt, "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied", shopRefused},
	{stageRcpt, "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", shopRefused},
	{stageRcpt, "550 5.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]", shopRefused},
	{stageRcpt, "554 5.7.1 <ada@example.com>: Relay access denied", shopRefused},
	{stageRcpt, "553 5.7.1 <orders@shop.example>: Sender address rejected: not owned by user till", shopRefused},
	{stageRcpt, "550 5.1.0 <orders@shop.example>: Sender address rejected: User unknown in virtual mailbox table", shopRefused},
	{stageRcpt, "504 5.5.2 <orders>: Sender address rejected: need fully-qualified address", shopRefused},
	{stageRcpt, "550 5.7.23 <ada@example.com>: Recipient address rejected: Message rejected due to: SPF fail", shopRefused},
	{stageRcpt, "554 5.7.1 <ada@example.com>: Recipient address rejected: You have exceeded your quota", shopRefused},
	{stageRcpt, "554 5.7.1 <ada@example.com>: Recipient address rejected: Access denied", mailRefused},
	{stageRcpt, "504 5.5.2 <ada@example>: Recipient address rejected: need fully-qualified address", mailRefused},
	{stageRcpt, "550 5.1.1 <ada@example.com>: Recipient address rejected: User unknown in relay recipient table", mailRefused},
	{stageRcpt, "550 <ada@example.com>: Recipient address rejected: User unknown in relay recipient table", mailRefused},
	{stageRcpt, "556 5.1.10 <ada@example.com>: Recipient address rejected: Domain example.com does not accept mail (nullMX)", mailRefused},
	{stageRcpt, "450 4.2.0 <ada@example.com>: Recipient address rejected: Greylisted", recipientDeferred},
	{stageRcpt, "450 4.1.2 <ada@example.com>: Recipient address rejected: Domain not found", recipientDeferred},
	{stageRcpt, "450 4.1.1 <ada@example.com>: Recipient address rejected: unverified address: connect to mx.example.com: Connection timed out", recipientDeferred},
	{stageRcpt, "451 4.7.1 <ada@example.com>: Recipient address rejected: Greylisting in action, please come back later", recipientDeferred},
	{stageRcpt, "450 4.1.8 <orders@shop.example>: Sender address rejected: Domain not found", temporary},
	{stageRcpt, "450 4.7.1 <unknown[192.0.2.1]>: Client host rejected: cannot find your hostname", temporary},
	{stageRcpt, "450 4.7.1 <ada@example.com>: Recipient address rejected: Message rate limit exceeded", temporary},
	{stageRcpt, "451 4.3.0 <ada@example.com>: Temporary lookup failure", temporary},
	{stageRcpt, "452 4.3.1 Insufficient system storage", temporary},
	{stageRcpt, "452 4.5.3 Error: too many recipients", temporary},
	{stageRcpt, "421 4.2.0 Closing connection", temporary},

	// Exim, sendmail, qmail, IronPort.
	{stageRcpt, "550 relay not permitted", shopRefused},
	{stageRcpt, "550 Verification failed for <orders@shop.example>\nNo Such User Here\nSender verify failed", shopRefused},
	{stageRcpt, "550 Administrative prohibition", shopRefused},
	{stageRcpt, "550 Domain shop.example has exceeded the max emails per hour (125/100 (125%)) allowed.", shopRefused},
	{stageRcpt, "550 JunkMail rejected - host [192.0.2.1] is in an RBL", shopRefused},
	{stageRcpt, "550 Unrouteable address", mailRefused},
	{stageRcpt, "451 Temporary local problem - please try later", temporary},
	{stageRcpt, "451 Could not complete sender verify callout", temporary},
	{stageRcpt, "452 4.2.2 <ada@example.com>... Mailbox full", recipientDeferred},
	{stageRcpt, "451 qq internal bug (#4.3.0)", temporary},
	{stageRcpt, "550 No such user here", mailRefused},
	{stageRcpt, "550 5.7.1 <ada@example.com>... Relaying denied. Proper authentication required.", shopRefused},
	{stageRcpt, "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", shopRefused},
	{stageRcpt, "511 sorry, no mailbox here by that name (#5.1.1 - chkuser)", mailRefused},
	{stageRcpt, "550 #5.1.0 Address rejected.", mailRefused},

	// Microsoft.
	{stageRcpt, "550 5.1.8 Access denied, bad outbound sender", shopRefused},
	{stageRcpt, "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients", shopRefused},
	{stageRcpt, "550 5.2.252 Sender throttled due to continuous send as denied errors.", shopRefused},
	{stageRcpt, "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", shopRefused},
	{stageRcpt, "550 5.7.606 Access denied, banned sending IP [192.0.2.1]", shopRefused},
	{stageRcpt, "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", mailRefused},
	{stageRcpt, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", mailRefused},
	{stageRcpt, "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required", mailRefused},
	{stageEnd, "550 5.7.60 SMTP; Client does not have permissions to send as this sender", shopRefused},
	{stageEnd, "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied", shopRefused},
	{stageEnd, "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP", shopRefused},

	// Google.
	{stageRcpt, "550 5.4.5 Daily user sending limit exceeded. - gsmtp", shopRefused},
	{stageRcpt, "550 5.7.1 Daily SMTP relay limit exceeded for customer. - gsmtp", shopRefused},
	{stageRcpt, "450 4.2.1 The user you are trying to contact is receiving mail too quickly.", recipientDeferred},
	{stageRcpt, "550 5.2.1 The email account that you tried to reach is disabled. - gsmtp", mailRefused},
	{stageRcpt, "552 5.2.2 The email account that you tried to reach is over quota. - gsmtp", mailRefused},
	{stageRcpt, "553 5.1.2 We weren't able to find the recipient domain. - gsmtp", mailRefused},
	{stageEnd, "550 5.7.26 Unauthenticated email from shop.example is not accepted due to domain's DMARC policy", shopRefused},
	{stageEnd, "550 5.7.1 Our system has detected that this message is likely unsolicited mail", mailRefused},
	{stageEnd, "552 5.7.0 This message was blocked because its content presents a potential security issue", mailRefused},

	// Amazon SES, SendGrid.
	{stageEnd, "554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: orders@shop.example", shopRefused},
	{stageEnd, "554 Message rejected: Sending suspended for this account. For more information, please check the inbox", shopRefused},
	{stageEnd, "554 Access denied: User `arn:aws:iam::1:user/till' is not authorized to perform `ses:SendRawEmail'", shopRefused},
	{stageEnd, "454 Throttling failure: Daily message quota exceeded.", temporary},
	{stageEnd, "550 The from address does not match a verified Sender Identity.", shopRefused},
	{stageMail, "550 Unauthenticated senders not allowed", shopRefused},

	// Only the code, or an ambiguous text.
	{stageRcpt, "450 Requested mail action not taken: mailbox unavailable", recipientDeferred},
	{stageRcpt, "451 Requested action aborted: local error in processing", temporary},
	{stageRcpt, "452 Requested action not taken: insufficient system storage", temporary},
	{stageRcpt, "451 try again later", recipientDeferred},
	{stageRcpt, "454 no", temporary},
	{stageMail, "450 4.1.2 Domain not found", temporary},
	{stageEnd, "451 4.2.0 later", temporary},
	{stageRcpt, "550 no", mailRefused},
	{stageRcpt, "551 User not local", mailRefused},
	{stageRcpt, "552 Requested mail action aborted: exceeded storage allocation", mailRefused},
	{stageRcpt, "553 Requested action not taken: mailbox name not allowed", mailRefused},
	{stageRcpt, "550 mailbox quota exceeded", mailRefused},
	{stageRcpt, "501 5.1.3 Bad recipient address syntax", mailRefused},
	{stageRcpt, "503 5.5.1 Error: need MAIL command", shopRefused},
	{stageRcpt, "530 Authentication required", shopRefused},
	{stageRcpt, "550 5.7.1 Command rejected", shopRefused},
	{stageRcpt, "550 Rejected by policy", shopRefused},
	{stageRcpt, "554 no", shopRefused},
	{stageRcpt, "599 no", shopRefused},
	{stageData, "554 5.5.1 Error: no valid recipients", mailRefused},
	{stageData, "503 5.5.1 Error: need RCPT command", shopRefused},
	{stageEnd, "554 no", mailRefused},
	{stageEnd, "550 5.7.1 Message refused", mailRefused},
	{stageEnd, "552 5.3.4 Message size exceeds fixed limit", mailRefused},
	{stageEnd, "550 5.6.0 Lone CR or LF in body", mailRefused},
	{stageEnd, "251 what?", temporary},

	// A customer's address must not decide.
	{stageRcpt, "550 5.1.1 <sender@relay.example>: not here", mailRefused},
	{stageRcpt, "550 <spf@helo.example>, no", mailRefused},
}

func TestRepliesAreClassified(t *testing.T) {
	t.Parallel()
	for _, c := range refusals {
		t.Run(string(c.at)+" "+c.text, func(t *testing.T) {
			t.Parallel()
			r, ok := replyOf(fmt.Errorf("reply: %w", replyError(t, c.text)))
			if got := r.classify(c.at); !ok || got != c.want {
				t.Errorf("reply %+v: got class %d, want %d", r, got, c.want)
			}
		})
	}
}

// replyError returns the error of net/textproto for a reply.
func replyError(t *testing.T, line string) error {
	t.Helper()
	var code int
	if _, err := fmt.Sscan(line, &code); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(line, " ")
	return &textproto.Error{Code: code, Msg: text}
}

// A fault of the server or of the shop's account delays a mail for less than an hour.
func TestBackoffIsShorterWhenTheServerIsAtFault(t *testing.T) {
	t.Parallel()
	s := &Service{config: Config{Backoff: Backoff}}
	for name, c := range map[string]struct {
		err     error
		longest time.Duration
	}{
		"Busy":         {classifyError(stageRcpt, replyError(t, "450 4.2.0 greylisted")), time.Hour},
		"BusyAtTheEnd": {classifyError(stageEnd, replyError(t, "451 scanner away")), time.Hour},
		"NoConnection": {classifyError(stageConnect, errors.New("connection refused")), maxServerDelay},
		"TakesNoMail":  {classifyError(stageMail, replyError(t, "421 closing")), maxServerDelay},
		"ShopRefused":  {classifyError(stageMail, replyError(t, "550 5.7.1 not you")), maxRefusedDelay},
	} {
		if got := s.backoff(1, c.err); got != Backoff(1) {
			t.Errorf("%s, first attempt: got %s, want %s", name, got, Backoff(1))
		}
		if got := s.backoff(100, c.err); got != c.longest {
			t.Errorf("%s, attempt 100: got %s, want %s", name, got, c.longest)
		}
	}
}
