package fleet

import (
	"errors"
	"sync"
	"time"

	"tillstream/cmd/internal/proof/child"
)

// restartAfter is how long a supervisor waits before it starts a process again that has ended by itself.
const restartAfter = 500 * time.Millisecond

// Part is a process of a fleet that has its place: its address and its data outlive it.
type Part struct {
	Name string

	command child.Command
	notice  func(name, line string) // hears that it fell, and how

	mu    sync.Mutex
	now   *child.Child
	down  bool // on purpose
	falls int
	watch sync.WaitGroup
}

func newPart(command child.Command, hear func(name, line string)) *Part {
	command.Hear = func(line string) { hear(command.Name, line) }
	return &Part{Name: command.Name, command: command, notice: hear}
}

// Start starts the process, and from now on again whenever it ends by itself. One that runs goes on.
func (p *Part) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
	if p.now != nil && !p.now.HasEnded() {
		return nil
	}
	return p.start()
}

func (p *Part) start() error {
	started, err := child.Start(p.command)
	if err != nil {
		return err
	}
	p.now = started
	p.watch.Go(func() { p.supervise(started) })
	return nil
}

// supervise waits for the end of a process, and replaces it if it was not meant to end.
func (p *Part) supervise(process *child.Child) {
	<-process.Ended()
	p.mu.Lock()
	fell := !p.down && p.now == process
	if fell {
		p.falls++
	}
	p.mu.Unlock()
	if !fell {
		return
	}
	p.notice(p.Name, "ended by itself: "+process.Exit())
	pause := time.NewTimer(restartAfter)
	defer pause.Stop()
	<-pause.C
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down || p.now != process {
		return
	}
	if err := p.start(); err != nil {
		p.notice(p.Name, "did not start again: "+err.Error())
	}
}

// setPath has the process started from another file from now on.
func (p *Part) setPath(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.command.Path = path
}

// Command is how the process is started.
func (p *Part) Command() child.Command {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.command
}

// Falls is how often the process ended by itself.
func (p *Part) Falls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.falls
}

// leave marks the process as not wanted any more and returns it.
func (p *Part) leave() *child.Child {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = true
	return p.now
}

// Kill ends the process as kill -9 does. It stays down until Start.
func (p *Part) Kill() error {
	if process := p.leave(); process != nil {
		return process.Kill()
	}
	return nil
}

// Stop asks the process to end and waits until it has. It stays down until Start. That it does not end within the time
// that the shop promises, or not in good order, is an error; then it is killed.
func (p *Part) Stop() error {
	process := p.leave()
	if process == nil || process.HasEnded() {
		return nil
	}
	err := errors.Join(process.Terminate(), process.Stopped(stopping))
	if err != nil {
		err = errors.Join(err, process.Kill())
	}
	return err
}

// Suspend has the process stand still until Resume.
func (p *Part) Suspend() error { return p.running().Suspend() }

// Resume has a suspended process go on.
func (p *Part) Resume() error { return p.running().Resume() }

func (p *Part) running() *child.Child {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// finish stops the process for good. It returns when nobody watches it any more.
func (p *Part) finish() error {
	err := p.Stop()
	p.watch.Wait()
	if process := p.running(); process != nil {
		err = errors.Join(err, process.Problem())
	}
	return err
}
