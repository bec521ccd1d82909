// Command notifications runs the notifications worker: it tells customers by mail what became of their orders.
package main

import (
	"time"

	"tillstream/cmd/internal/process"
	"tillstream/notifications"
)

type settings struct {
	process.Settings `embed:""`

	MailFrom     string        `env:"MAIL_FROM" required:"" help:"Sender of the mails, such as \"The Tea Shop <orders@example.com>\"."`
	SMTPDeadline time.Duration `name:"smtp-deadline" env:"SMTP_DEADLINE" default:"30s" help:"Longest that handing over one mail may take. What a process that died was sending is taken up after half as much again."`
	SMTPEHLO     string        `name:"smtp-ehlo" env:"SMTP_EHLO" help:"What the shop calls itself towards the mail server (EHLO); default: the host of PUBLIC_URL if it is a domain name, else the machine's name."`
	SMTPURL      string        `name:"smtp-url" env:"SMTP_URL" required:"" help:"Mail server, such as smtps://user:password@host. Best set by the environment."`
}

func main() {
	var s settings
	process.Main("notifications", "Tells the customer, once.", &s, &s.Settings,
		func(env process.Env) (process.Domain, error) {
			return notifications.New(notifications.Config{Access: env.Access, Log: env.Log, Logger: env.Logger, Registerer: env.Registerer, From: s.MailFrom,
				EHLO: s.SMTPEHLO, SMTPURL: s.SMTPURL, PublicURL: s.PublicURL, Deadline: s.SMTPDeadline})
		})
}
