package fleet

import (
	"errors"
	"sync"
	"time"

	"tillstream/cmd/internal/proof/proc"
)

// restartDelay is the pause before a service is restarted that has exited by itself.
const restartDelay = 500 * time.Millisecond

// Service is a supervised process of a fleet. It keeps its address and its data when it is restarted.
type Service struct {
	Name string

	command proc.Command
	report  func(name, line string) // receives crashes and failed restarts

	mu          sync.Mutex
	process     *proc.Process
	down        bool // because of Kill or Stop
	crashes     int
	supervision sync.WaitGroup
}

func newService(command proc.Command, output func(name, line string)) *Service {
	command.Output = func(line string) { output(command.Name, line) }
	return &Service{Name: command.Name, command: command, report: output}
}

// Start starts the process unless it runs, and from now on restarts it whenever it exits by itself.
func (s *Service) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = false
	if s.process != nil && !s.process.Exited() {
		return nil
	}
	return s.start()
}

func (s *Service) start() error {
	started, err := proc.Start(s.command)
	if err != nil {
		return err
	}
	s.process = started
	s.supervision.Go(func() { s.supervise(started) })
	return nil
}

// supervise waits until a process exits, and restarts it unless Kill or Stop ended it.
func (s *Service) supervise(process *proc.Process) {
	<-process.Done()
	s.mu.Lock()
	crashed := !s.down && s.process == process
	if crashed {
		s.crashes++
	}
	s.mu.Unlock()
	if !crashed {
		return
	}
	s.report(s.Name, "ended by itself: "+process.ExitStatus())
	pause := time.NewTimer(restartDelay)
	defer pause.Stop()
	<-pause.C
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down || s.process != process {
		return
	}
	if err := s.start(); err != nil {
		s.report(s.Name, "restart: "+err.Error())
	}
}

// setPath sets the executable for the next start.
func (s *Service) setPath(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.command.Path = path
}

// Command returns the command that starts the process.
func (s *Service) Command() proc.Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.command
}

// Crashes returns how often the process exited by itself.
func (s *Service) Crashes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.crashes
}

// release ends the supervision of the process and returns the process, nil before the first Start.
func (s *Service) release() *proc.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = true
	return s.process
}

// Kill ends the process with SIGKILL. It stays down until Start.
func (s *Service) Kill() error {
	if process := s.release(); process != nil {
		return process.Kill()
	}
	return nil
}

// Stop sends SIGTERM and waits for the exit. The process stays down until Start. A process that does not exit with status 0
// within the 30 seconds that the shop promises is killed, and Stop returns an error.
func (s *Service) Stop() error {
	process := s.release()
	if process == nil || process.Exited() {
		return nil
	}
	err := process.Stop(stopTimeout)
	if err != nil {
		err = errors.Join(err, process.Kill())
	}
	return err
}

// Suspend stops the process with SIGSTOP until Resume.
func (s *Service) Suspend() error { return s.current().Suspend() }

// Resume continues a suspended process.
func (s *Service) Resume() error { return s.current().Resume() }

func (s *Service) current() *proc.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// close stops the process for good and waits for its supervision to end.
func (s *Service) close() error {
	err := s.Stop()
	s.supervision.Wait()
	if process := s.current(); process != nil {
		err = errors.Join(err, process.Err())
	}
	return err
}
