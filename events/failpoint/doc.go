// Package failpoint names points in the code at which a test can kill or stop a process.
//
// A promise such as "no order is charged twice" must hold even if the process dies at the worst moment, and such moments last
// microseconds. A test that kills at random reaches them by chance; a test that names a failpoint reaches it every time. A
// disabled failpoint costs one atomic load, so failpoints stay in production code.
//
//	failpoint.At("payments.after_capture")              in the code: a point
//	failpoint.AtPlace("payments.stripe", "act.done")    a point that many lanes share, with the name of this lane
//
//	FAILPOINT_KILL=payments.after_capture               the process kills itself at this point
//	FAILPOINT_KILL=act.done@payments.stripe:3           when it reaches the point for the third time in this lane
//	FAILPOINT_STOP=append.stored                        it stops itself (SIGSTOP) until it receives SIGCONT
//
// A test can also set a trigger while processes run, in a file that every process reads at every point. The first process that
// reaches the point renames the file and is the only one affected; see [Config].
//
//	file "trap" contains "kill act.done@payments.stripe:1"
//	    ─► a process reaches the point ─► renames the file to "trap.<its process id>" ─► kills itself
//
// Only main packages call [Arm], because only they read the environment. [Points] lists all failpoints, so that a misspelt one
// is refused at start, and a test can use all of them in turn.
package failpoint
