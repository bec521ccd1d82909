// Package processtest runs our programs, and a broker, as processes of their own, for tests that kill them.
//
//	func TestMain(m *testing.M) { os.Exit(processtest.Main(m)) }
//
//	dir := processtest.Build(t, "tillstream/cmd/orders")      built once per test binary
//	broker := processtest.StartBroker(t)
//	orders := processtest.Start(t, processtest.Command{Name: "orders 1", Path: filepath.Join(dir, "orders"), Env: ...})
//	url := orders.Listens(t)                                    waits for the line that says where
//	orders.Kill(t)                                              no good-bye
//
// A process never outlives its test: it is killed when the test ends, and on Linux also when the test binary itself is
// killed or runs out of time, where no cleanup runs any more. Tests under the race detector run programs with it too.
package processtest
