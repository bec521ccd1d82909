package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"tillstream/cmd/internal/target"
	"tillstream/notifications"
)

// mailCommand is ops mail.
type mailCommand struct {
	target.Target `embed:""`
	Order         string `arg:"" help:"Number of the order, which customers quote, or its id."`
	Message       string `arg:"" optional:"" help:"Message-ID of one mail. Without it every mail about the order is shown."`
	HTML          bool   `name:"html" help:"Show the HTML part instead of the text."`
	JSON          bool   `name:"json" help:"Write JSON: {mails: [{message_id, subject, language, text, html}]}."`
}

// Help is shown by ops mail --help.
func (mailCommand) Help() string {
	return `Shows what the mails about an order say. The worker that sends mails renders them again from the log: the values are those of the mail, the wording and the name of the shop are those of now. The link to the order is without the token of the customer. ops order shows whether they were sent.

Examples:
  ops mail 4XRJK-QYW5E
  ops mail 4XRJK-QYW5E --json`
}

// Run shows mails.
func (c *mailCommand) Run(ctx context.Context, out *terminal) error {
	api, id, err := staffAPIOfOrder(ctx, c.Target, c.Order, out)
	if err != nil {
		return err
	}
	path := "/ops/api/notifications/" + url.PathEscape(id)
	var known notifications.Notification
	if err := api.call(ctx, http.MethodGet, path, nil, &known); err != nil {
		return err
	}
	mails := []notifications.Content{}
	for _, m := range known.Messages {
		if c.Message != "" && m.ID != c.Message {
			continue
		}
		var content notifications.Content
		if err := api.call(ctx, http.MethodGet, path+"/mails/"+url.PathEscape(m.ID), nil, &content); err != nil {
			return err
		}
		mails = append(mails, content)
	}
	if len(mails) == 0 {
		return fmt.Errorf("order %s has no mail %s", c.Order, c.Message)
	}
	return out.answer(c.JSON, map[string]any{"mails": mails}, func() error { return c.write(mails, out) }, false)
}

func (c *mailCommand) write(mails []notifications.Content, out *terminal) error {
	for _, m := range mails {
		if err := out.item(cell{m.MessageID, bold}, m.Subject); err != nil {
			return err
		}
		body, write := m.Text, out.say
		if c.HTML {
			body, write = m.HTML, out.printf // wrapped lines would be other HTML
		}
		for line := range strings.Lines(body) {
			if err := write("%s", strings.TrimRight(line, "\n")); err != nil {
				return err
			}
		}
	}
	return nil
}
