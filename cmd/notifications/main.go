// Command notifications runs the notifications worker, which sends e-mails to customers about their orders, and to staff about
// disputes.
package main

import (
	"time"

	"tillstream/cmd/internal/process"
	"tillstream/notifications"
)

type settings struct {
	process.Settings `embed:""`

	MailLimit    int           `name:"mail-per-recipient" env:"MAIL_PER_RECIPIENT" default:"20" help:"Maximum number of e-mails to one recipient in an hour; further ones wait."`
	MailFrom     string        `env:"MAIL_FROM" required:"" help:"Sender of e-mails, such as \"The Tea Shop <orders@example.com>\"."`
	OpsURL       string        `name:"ops-public-url" env:"OPS_PUBLIC_URL" default:"http://127.0.0.1:8090" help:"Address at which staff reach the console; mails to staff link to it."`
	StaffMail    []string      `env:"STAFF_MAIL" placeholder:"ADDRESS,..." help:"E-mail addresses of the staff to whom disputes are reported; default: nobody is mailed."`
	SMTPDeadline time.Duration `name:"smtp-deadline" env:"SMTP_DEADLINE" default:"30s" help:"How long sending one e-mail may take. An e-mail that a killed process was sending is retried after one and a half times as long."`
	SMTPEHLO     string        `name:"smtp-ehlo" env:"SMTP_EHLO" help:"Name of the shop in the EHLO command; default: the host of PUBLIC_URL if that is a domain name, else the name of the machine."`
	SMTPURL      string        `name:"smtp-url" env:"SMTP_URL" required:"" help:"Mail server, such as smtps://user:password@host. Prefer the environment variable: other users can read flags."`
}

func main() {
	var s settings
	process.Main("notifications", "Sends each customer one e-mail about each step of an order.", &s, &s.Settings,
		func(env process.Env) (process.Domain, error) {
			return notifications.New(notifications.Config{Access: env.Access, Log: env.Log, Logger: env.Logger, Registerer: env.Registerer, From: s.MailFrom,
				EHLO: s.SMTPEHLO, SMTPURL: s.SMTPURL, PublicURL: s.PublicURL, Deadline: s.SMTPDeadline, PerRecipient: s.MailLimit, StaffMail: s.StaffMail, StaffURL: s.OpsURL})
		})
}
