// Package proc starts programs as processes of their own, for tests and load runs that kill, stop and restart them.
//
//	process, err := proc.Start(proc.Command{Name: "orders 1", Path: "bin/orders", Env: env, Output: func(line string) { ... }})
//	url, err := process.AwaitURL(ctx)          the address in its line "listens on http://..."
//	err = proc.AwaitReady(ctx, "orders 1", url) /readyz answers "ready"
//	err = process.Stop(30 * time.Second)       SIGTERM, and exit status 0 in time
//	err = process.Kill()                       SIGKILL
//
// Tests use the functions of testing.go, which build each program once per test binary and end every process with its test:
//
//	func TestMain(m *testing.M) { os.Exit(proc.Main(m)) }
//
//	dir := proc.MustBuild(t, "tillstream/cmd/orders")
//	process := proc.MustStart(t, proc.Command{Name: "orders 1", Path: filepath.Join(dir, "orders"), Env: env})
//	proc.Check(t, process.Kill())
//
// A process does not outlive the one that started it. On Linux the kernel kills it with its parent, even if the parent was
// killed itself and runs no deferred call; elsewhere it may survive a killed parent. On Linux it also has a process group of
// its own, so that Ctrl-C reaches only the parent, which stops its processes in the right order.
package proc
