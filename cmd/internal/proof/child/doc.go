// Package child runs programs as processes of their own, to be spoken to by signals and listened to line by line.
//
//	orders, err := child.Start(child.Command{Name: "orders 1", Path: "bin/orders", Env: env, Hear: func(line string) { ... }})
//	url, err := orders.Says(ctx, regexp.MustCompile(`listens on (http://\S+)$`))
//	err = orders.Kill()                                          no good-bye
//
// A child never outlives its parent: on Linux the kernel kills it with the thread that started it, so also when the
// parent was killed itself and no deferred call runs any more. It is in a process group of its own there, so that Ctrl-C
// reaches the parent alone, which knows in which order to end what it has started.
package child
