package failpoint

// Point is a moment in the life of an event.
type Point struct {
	Name   string
	Moment string // what has happened by then, and what has not
	Placed bool   // it is passed in many places (lanes, sweeps), each with a name of its own
}

// Points are all there are, in the order that an order passes them. A process has one committer and one decide loop, so
// their points have no place: which process dies there is for the test to choose.
func Points() []Point {
	return []Point{
		{Name: "http.order_received", Moment: "an order was asked for, nothing is stored"},
		{Name: "http.order_stored", Moment: "the order is stored, its 201 is not sent"},
		{Name: "http.webhook_received", Moment: "Stripe's event is known to be genuine, nothing is stored"},
		{Name: "http.webhook_stored", Moment: "Stripe's event is stored, its 200 is not sent"},

		{Name: "append.gathered", Moment: "events wait together, none of them is committed"},
		{Name: "append.half_sent", Moment: "an atomic batch is sent but for its last message, which commits it"},
		{Name: "append.stored", Moment: "the broker has answered, whoever waits does not know yet"},

		{Name: "decide.fetched", Moment: "the decide loop has a batch of events"},
		{Name: "decide.decided", Moment: "what they lead to is decided, nothing is stored"},
		{Name: "decide.committed", Moment: "it is stored, the lanes have not moved on"},

		{Name: "act.begun", Moment: "an act lane has an event", Placed: true},
		{Name: "act.done", Moment: "it has acted and said so, the lane still counts the act as open", Placed: true},
		{Name: "payments.before_create", Moment: "Stripe is about to be asked for an intent"},
		{Name: "payments.after_create", Moment: "Stripe has made it, the log does not say so"},
		{Name: "payments.before_capture", Moment: "Stripe is about to be asked for the money"},
		{Name: "payments.after_capture", Moment: "Stripe has taken it, the log does not say so"},
		{Name: "payments.before_cancel", Moment: "Stripe is about to be asked to let go of an intent"},
		{Name: "payments.after_cancel", Moment: "Stripe has let go of it, the log does not say so"},
		{Name: "notifications.before_smtp", Moment: "a mail is written, nobody has been dialled"},
		{Name: "notifications.before_data", Moment: "the log says that the mail is being sent, no byte of it has been"},
		{Name: "notifications.after_data", Moment: "the mail server has answered to the mail, the log does not say so"},

		{Name: "batch.fetched", Moment: "a projection or the archive has a batch of events", Placed: true},
		{Name: "project.rendered", Moment: "the documents are rendered, the database has the old ones", Placed: true},
		{Name: "project.written", Moment: "the database has the new documents", Placed: true},
		{Name: "archive.written", Moment: "the events are in the archive", Placed: true},
		{Name: "batch.written", Moment: "the batch is written, the lane has not moved on", Placed: true},

		{Name: "checkpoint.before_save", Moment: "a lane has come further than its checkpoint says", Placed: true},
		{Name: "checkpoint.saved", Moment: "its checkpoint says how far it has come, as far as the broker knows", Placed: true},

		{Name: "timers.fired", Moment: "a deadline has passed, its order was not looked at"},
		{Name: "sweep.begun", Moment: "a periodic look at everything begins", Placed: true},
		{Name: "sweep.done", Moment: "it is over", Placed: true},
	}
}

func known(name string) (Point, bool) {
	for _, p := range Points() {
		if p.Name == name {
			return p, true
		}
	}
	return Point{}, false
}
