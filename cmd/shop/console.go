package main

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"tillstream/cmd/internal/console"
	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/staff"
	"tillstream/events/api"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// newConsole returns the staff console, which has a listener of its own: the shop's is open to the world, this one need not be.
func (sh *shop) newConsole(ctx context.Context) (*console.Console, error) {
	reader, err := replay.On(ctx, sh.log.ForDomain("ops"))
	if err != nil {
		return nil, err
	}
	reader.FollowWith(sh.host.Follow)
	secrets, verify := sh.servers.secrets, invariants.OptionsOf(sh.servers.ready())
	verify.StripeURL = cmp.Or(verify.StripeURL, console.StripeAPI)
	return console.New(console.Config{Access: sh.directory, Staff: staff.Sessions{Service: sh.staff, Shop: "Tillstream"}, API: api.Routes(sh.mux), DB: sh.db, Log: reader,
		ApprovalOver: sh.config.ApprovalOver, CheckPayments: console.CheckPaymentsWith(reader, sh.servers.sandboxURL(), secrets.StripeSecretKey),
		Members: console.MembersOf(sh.staff), Verify: verify, Dispatcher: sh.dispatcher, Logger: sh.logger.With("process", "console"), PublicURL: sh.config.OpsURL, Readiness: sh.readiness})
}

// readiness is the state of this process, which runs every part of the shop.
func (sh *shop) readiness(context.Context) []console.Process {
	p := console.Process{Name: "shop", Ready: true}
	for _, c := range sh.host.Conditions() {
		p.Ready = p.Ready && !c.NotReady()
		p.Problems, p.Codes = append(p.Problems, c.Error()), append(p.Codes, c.Code)
	}
	return []console.Process{p}
}

// newDispatcher returns a dispatcher over the lanes of domains, for dry runs.
func newDispatcher(domains []process.Domain) *worker.Dispatcher {
	lanes := make([]worker.Domain, len(domains))
	for i, d := range domains {
		lanes[i] = d.Worker()
	}
	return worker.NewDispatcher(lanes...)
}

// consoleHandler returns the handler of the staff's listener.
func (sh *shop) consoleHandler(pages http.Handler) http.Handler {
	root := http.NewServeMux()
	root.Handle("/", pages)
	for _, prefix := range []string{"/healthz", "/readyz"} {
		root.Handle(prefix, api.Routes(sh.mux))
	}
	return api.CheckHost(api.FromClient(root, sh.config.TrustedProxies), sh.servers.ops.Addr(), append(sh.config.AllowedHosts, sh.config.OpsURL)...)
}

// consoleURL returns the address at which staff reach the console.
func (s *servers) consoleURL() string { return s.consoleOrigin() + "/ops" }

// consoleOrigin returns the origin of the console for staff.
func (s *servers) consoleOrigin() string {
	if s.config.OpsURL != "" {
		return strings.TrimSuffix(s.config.OpsURL, "/")
	}
	return urlOf(s.ops)
}
