package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"tillstream/cmd/internal/address"
	"tillstream/cmd/internal/console"
	"tillstream/cmd/internal/process"
)

// Every process is asked every askEvery whether it is ready. It answers from memory, so one that takes longer than answerWithin does
// not answer at all.
const (
	askEvery     = 2 * time.Second
	answerWithin = 2 * time.Second
)

// codeUnreachable is the code of a process that does not answer.
const codeUnreachable = "process_unreachable"

// processes asks the processes of the shop whether they are ready, and keeps their answers. It is safe for concurrent use.
type processes struct {
	places []place
	key    string // API key, without which processes on other machines tell only codes
	client *http.Client

	mu   sync.Mutex
	last []console.Process
}

// place is where processes of one program are. A name that has several IPv4 addresses has a process at each.
type place struct {
	program string
	url     *url.URL
}

// newProcesses returns the processes of a list such as "orders=http://10.0.0.21:8081".
func newProcesses(list []string, key string) (*processes, error) {
	p := &processes{key: key, client: &http.Client{Timeout: answerWithin, Transport: &http.Transport{DialContext: dialChosen, DisableKeepAlives: true}}}
	for _, entry := range list {
		program, at, ok := strings.Cut(strings.TrimSpace(entry), "=")
		u, err := url.Parse(strings.TrimRight(at, "/"))
		if err != nil || !ok || program == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("READY_URLS: want PROGRAM=ADDRESS such as orders=http://10.0.0.21:8081, several separated by commas, got %.40s=%.80s", program, address.Redacted(at))
		}
		p.places = append(p.places, place{program, u})
	}
	return p, nil
}

// readyURLs are the processes of READY_URLS, or else those that serve the APIs.
func (s settings) readyURLs() (list []string) {
	if len(s.ReadyURLs) > 0 {
		return s.ReadyURLs
	}
	for _, api := range []struct{ program, addresses string }{{"inventory", s.InventoryURL}, {"orders", s.OrdersURL}, {"payments", s.PaymentsURL}, {"notifications", s.NotificationsURL}} {
		for at := range strings.SplitSeq(api.addresses, ",") {
			if at = strings.TrimSpace(at); at != "" {
				list = append(list, api.program+"="+at)
			}
		}
	}
	return list
}

// run asks until ctx ends.
func (p *processes) run(ctx context.Context) {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		p.ask(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// ask asks all processes at the same time.
func (p *processes) ask(ctx context.Context) {
	all := make([][]console.Process, len(p.places))
	var asking sync.WaitGroup
	for i, at := range p.places {
		asking.Go(func() { all[i] = p.askPlace(ctx, at) })
	}
	asking.Wait()
	if ctx.Err() != nil {
		return // the processes have not had the time to answer
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = slices.Concat(all...)
}

func (p *processes) askPlace(ctx context.Context, at place) []console.Process {
	name := at.program + " at " + at.url.Host
	addresses, err := addressesOf(ctx, at.url.Hostname())
	if err != nil {
		return []console.Process{unreachable(name, err)}
	}
	if len(addresses) < 2 {
		return []console.Process{p.askProcess(ctx, name, at.url)}
	}
	all := make([]console.Process, len(addresses))
	var asking sync.WaitGroup
	for i, ip := range addresses {
		asking.Go(func() { all[i] = p.askProcess(withAddress(ctx, ip), name+" ("+ip.String()+")", at.url) })
	}
	asking.Wait()
	return all
}

// askProcess asks one process.
func (p *processes) askProcess(ctx context.Context, name string, at *url.URL) console.Process {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String()+"/readyz", nil)
	if err != nil {
		return unreachable(name, err)
	}
	if p.key != "" {
		request.Header.Set("Authorization", "Bearer "+p.key)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return unreachable(name, err)
	}
	defer response.Body.Close()
	var body struct {
		Codes  []string `json:"codes"`
		Reason string   `json:"reason"`
	}
	err = json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&body)
	if err != nil || response.StatusCode != http.StatusOK && response.StatusCode != http.StatusServiceUnavailable {
		return unreachable(name, fmt.Errorf("%s from /readyz", response.Status))
	}
	state := console.Process{Name: name, Ready: response.StatusCode == http.StatusOK, Codes: body.Codes, Problems: body.Codes}
	if body.Reason != "" {
		state.Problems = strings.Split(body.Reason, "\n")
	}
	return state
}

// unreachable is the state of a process that does not answer.
func unreachable(name string, err error) console.Process {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // without the address, which the name has
	}
	return console.Process{Name: name, Problems: []string{"it does not answer: " + err.Error()}, Codes: []string{codeUnreachable}}
}

// readiness returns the newest answers.
func (p *processes) readiness(context.Context) []console.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// degraded returns what is wrong with the processes. The console reports it at its own /readyz, where ops status asks.
func (p *processes) degraded() error {
	var problems []error
	for _, one := range p.readiness(context.Background()) {
		for i, code := range one.Codes {
			err := errors.New(one.Name)
			if len(one.Problems) == len(one.Codes) { // one for each code
				err = fmt.Errorf("%s: %s", one.Name, strings.TrimPrefix(one.Problems[i], code+": "))
			}
			problems = append(problems, process.Condition{Code: code, Err: err})
		}
	}
	return errors.Join(problems...)
}

// addressesOf returns the IPv4 addresses of a name, none for an address.
func addressesOf(ctx context.Context, host string) ([]netip.Addr, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	v4 := slices.DeleteFunc(all, func(ip netip.Addr) bool { return !ip.Unmap().Is4() })
	slices.SortFunc(v4, netip.Addr.Compare)
	return slices.Compact(v4), nil
}

type addressKey struct{}

// withAddress makes requests of a context go to an address instead of those of the name.
func withAddress(ctx context.Context, ip netip.Addr) context.Context {
	return context.WithValue(ctx, addressKey{}, ip)
}

func dialChosen(ctx context.Context, network, at string) (net.Conn, error) {
	if ip, ok := ctx.Value(addressKey{}).(netip.Addr); ok {
		_, port, err := net.SplitHostPort(at)
		if err != nil {
			return nil, err
		}
		at = net.JoinHostPort(ip.Unmap().String(), port)
	}
	return (&net.Dialer{}).DialContext(ctx, network, at)
}
