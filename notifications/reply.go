package notifications

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// refusal classifies a reply that does not accept the mail.
type refusal int

const (
	temporary         refusal = iota // the server may accept the mail later
	recipientDeferred                // the recipient may accept the mail later, and the server accepts other mails
	mailRefused                      // this mail is refused: its recipient or its content
	shopRefused                      // the shop is refused: every other mail would be, too
)

// stage is the part of an SMTP dialogue to which a reply belongs.
type stage string

const (
	stageConnect stage = "connect" // up to the first MAIL: connection, greeting, EHLO, STARTTLS and AUTH
	stageMail    stage = "MAIL"
	stageRcpt    stage = "RCPT"
	stageData    stage = "DATA"
	stageEnd     stage = "end of mail"
)

// reply is a reply of a mail server.
type reply struct {
	code   string // three digits
	status string // enhanced status code such as "5.1.1" (RFC 3463); "" if the reply has none
	text   string // lower case, without mail addresses, with which customers could influence the classification
}

// statusCode matches the enhanced status code: at the beginning (RFC 2034), or "(#5.1.1)" as in qmail and IronPort.
var statusCode = regexp.MustCompile(`(?:^|#)([245]\.\d{1,3}\.\d{1,3})\b`)

// replyOf returns the server's reply in an error; ok is false if there is none.
func replyOf(err error) (r reply, ok bool) {
	var answer *textproto.Error
	if !errors.As(err, &answer) {
		return reply{}, false
	}
	r = reply{code: strconv.Itoa(answer.Code), text: strings.ToLower(mailAddress.ReplaceAllString(oneLine(answer.Msg), ""))}
	if found := statusCode.FindStringSubmatch(r.text); found != nil {
		r.status = found[1]
	}
	return r, true
}

// rule classifies one kind of reply. It matches a reply if all of its fields do.
type rule struct {
	at     []stage
	code   *regexp.Regexp
	status *regexp.Regexp
	text   *regexp.Regexp
	kind   refusal
}

// rules classify replies. The first rule that matches a reply decides; the last rule matches every reply.
//
// Reply codes are from RFC 5321 §4.2.3 and §4.3.2 and RFC 4954 §6. Enhanced status codes are from RFC 3463 §3, from the registry
// of RFC 5248, and from Microsoft ("Email non-delivery reports in Exchange Online") and Google ("SMTP errors and codes"). Texts
// decide where the codes are ambiguous, such as 554 and 5.7.1. They are those of Postfix, Exim, sendmail, qmail, Exchange,
// Gmail, Amazon SES and SendGrid. Postfix delays its refusals of the client, of EHLO and of the sender until RCPT, unless
// smtpd_delay_reject is off.
var rules = []rule{
	// Temporary refusals at RCPT, which in Postfix may be about the client or the sender (1.7, 1.8).
	{kind: temporary, at: []stage{stageRcpt}, code: exact(`4..`), text: contains(`\bhelo|\behlo|client host|sender (address|domain|verif)|mail from`)},
	{kind: recipientDeferred, at: []stage{stageRcpt}, code: exact(`45[0-2]`), status: exact(`4\.1\.([0-6]|9|10)|4\.2\.\d+`)},
	{kind: recipientDeferred, at: []stage{stageRcpt}, code: exact(`45[0-2]`), text: contains(`gr[ae]y.?list|mailbox|over ?quota`)},
	{kind: temporary, at: []stage{stageRcpt}, status: exact(`4\..+`)}, // the server's system, network, protocol or policy
	{kind: temporary, at: []stage{stageRcpt}, code: exact(`4..`), text: contains(`processing|server|service|system|storage|local|internal|resource|busy|lookup|connection|too many|\brate\b|limit|quota|throttl`)},
	{kind: recipientDeferred, at: []stage{stageRcpt}, code: exact(`45[0-2]`)},
	{kind: temporary, code: exact(`[1-4]..`)},
	{kind: shopRefused, at: []stage{stageConnect, stageMail}}, // no recipient was named yet
	{kind: shopRefused, code: exact(`53[0-8]`)},               // authentication

	// Unambiguous enhanced status codes: the sender's address (1.7, 1.8), sending limits (1.90, 2.25x, 4.5),
	// authentication and encryption (7.8 to 7.14), SPF, DKIM, DMARC, reverse DNS and floods (7.20 to 7.29, RFC 7372 and
	// 7505), permission to relay or to send as the sender (7.50 to 7.69), banned senders and addresses (7.500 to 7.799).
	{kind: shopRefused, status: exact(`5\.1\.(7|8|90)|5\.2\.25\d|5\.4\.5|5\.7\.([89]|1[0-4]|[256]\d|[567]\d\d)`)},
	// The recipient's address (1.x), its mailbox (2.x), size (3.4), content (6.x), lists and former owners (7.2, 7.17 to
	// 7.19), recipients with restricted senders (7.100 to 7.199).
	{kind: mailRefused, status: exact(`5\.1\.([1-9]|10)|5\.2\.[1-9]\d*|5\.3\.4|5\.6\.\d+|5\.7\.(2|1[7-9]|1\d\d)`)},

	{kind: shopRefused, text: contains(`(helo|ehlo) (command|name|argument)|(bad|fake|invalid) (helo|ehlo)`)},
	{kind: shopRefused, text: contains(`client (host|was not|does not)|(your|the|sending|unauthorized) ip\b|reverse (dns|host)|\bptr\b`)},
	{kind: shopRefused, text: contains(`\b(spf|dkim|dmarc|openspf)\b`)},
	{kind: shopRefused, text: contains(`sender (address|denied|domain|identity|not|refused|rejected|verif)|from address|mail from|not owned by|sendas|send as\b|on behalf`)},
	{kind: shopRefused, text: contains(`not verified|(allowed|authori[sz]ed|permitted|permissions) to (perform|relay|send|submit)`)},
	{kind: shopRefused, text: contains(`relaying|relay access|unable to relay|not relay|no relay|relay (denied|not|limit|prohibited)|rcpthosts`)},
	{kind: shopRefused, text: contains(`authenticat|credentials|not logged in|must log ?in`)},
	{kind: shopRefused, text: contains(`your account|sending (is |has been )?(blocked|disabled|paused|suspended)|outbound|outgoing|sandbox`)},
	{kind: shopRefused, at: []stage{stageRcpt}, text: contains(`\b(rbl|dnsbl)\b|black ?list|block ?list`)},

	{kind: mailRefused, code: exact(`552`)}, // "exceeded storage allocation": of the mailbox, or by the mail
	{kind: mailRefused, text: contains(`mailbox|size|too (big|large)|user.{0,10}quota|over ?quota`)},
	{kind: shopRefused, text: contains(`(limit|quota).{0,20}(exceeded|reached)|exceeded.{0,60}(limit|quota|per (day|hour|minute))|too many (connections|e?mails|messages)|throttl`)},
	{kind: mailRefused, status: exact(`5\.4\.[1-9]\d*`)}, // no way to the recipient's domain
	{kind: mailRefused, text: contains(`recipient|no such|unknown|not found|does(n't| not) (exist|have)|unrout|null ?mx`)},

	// Ambiguous replies. At RCPT, a policy (5.7.x) or a code that is not about mailboxes is probably about the shop. If that is
	// wrong, the circuit opens needlessly; if the opposite guess were wrong, every mail of the day would fail. At the end of the
	// mail, the reply is probably about the content.
	{kind: shopRefused, at: []stage{stageRcpt}, status: exact(`5\.7\.\d+`)},
	{kind: shopRefused, at: []stage{stageRcpt}, text: contains(`access denied|not permitted|policy|prohibit`)},
	{kind: mailRefused, at: []stage{stageRcpt}, code: exact(`501|51[0-3]|541|55[012356]`)},
	{kind: shopRefused, at: []stage{stageRcpt}},
	{kind: shopRefused, at: []stage{stageData}, code: exact(`50[0-4]|521`)}, // the command, not the mail
	{kind: mailRefused},
}

func exact(pattern string) *regexp.Regexp    { return regexp.MustCompile(`^(?:` + pattern + `)$`) }
func contains(pattern string) *regexp.Regexp { return regexp.MustCompile(pattern) }

func (r rule) matches(at stage, answer reply) bool {
	return (r.at == nil || slices.Contains(r.at, at)) && (r.code == nil || r.code.MatchString(answer.code)) &&
		(r.status == nil || r.status.MatchString(answer.status)) && (r.text == nil || r.text.MatchString(answer.text))
}

// classify returns what an unexpected reply means at a stage.
func (r reply) classify(at stage) refusal {
	return rules[slices.IndexFunc(rules, func(rule rule) bool { return rule.matches(at, r) })].kind
}

// classifyError turns the error of a stage into one of the errors of [Mailer.Send].
func classifyError(at stage, err error) error {
	if err == nil {
		return nil
	}
	answer, ok := replyOf(err)
	if at == stageConnect {
		err = fmt.Errorf("connect to the mail server: %w", err)
	} else {
		err = fmt.Errorf("reply to %s: %w", at, err)
	}
	kind := temporary
	if ok {
		kind = answer.classify(at)
	}
	switch {
	case kind == recipientDeferred:
		return fmt.Errorf("%w: %w", errRecipientDeferred, err)
	case kind == mailRefused:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case kind == shopRefused:
		return fmt.Errorf("%w: %w", ErrShopRefused, err)
	case at == stageConnect || at == stageMail:
		return fmt.Errorf("%w: %w", errServerDown, err)
	}
	return err
}
