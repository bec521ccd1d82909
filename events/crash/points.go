package crash

// Point is a moment in the life of an event.
type Point struct {
	Name   string
	Moment string // what has happened by then, and what has not
	Placed bool   // it is passed in many places (consumers, streams, sweeps), each with a name of its own
}

// Points are all there are, in the order that an order passes them. What goes through a loop needs no points of its own:
// a timer is set at "decide.committed@orders-timers", and one that fired is handled at "decide.committed@orders-expiry".
func Points() []Point {
	return []Point{
		{Name: "http.order_received", Moment: "an order was asked for, nothing is stored"},
		{Name: "http.order_stored", Moment: "the order is stored, its 201 is not sent"},
		{Name: "http.webhook_received", Moment: "Stripe's event is known to be genuine, nothing is stored"},
		{Name: "http.webhook_stored", Moment: "Stripe's event is stored, its 200 is not sent"},

		{Name: "append.gathered", Moment: "facts wait together, none of them is committed", Placed: true},
		{Name: "append.half_sent", Moment: "an atomic batch is sent but for its last message, which commits it", Placed: true},
		{Name: "append.stored", Moment: "the broker has answered, whoever waits does not know yet", Placed: true},

		{Name: "decide.fetched", Moment: "a decider has a batch of events", Placed: true},
		{Name: "decide.decided", Moment: "what they lead to is decided, nothing is stored", Placed: true},
		{Name: "decide.committed", Moment: "it is stored, the events are not acknowledged", Placed: true},
		{Name: "decide.acked", Moment: "they are, as far as this process knows", Placed: true},

		{Name: "act.begun", Moment: "an actor has an event", Placed: true},
		{Name: "act.done", Moment: "it has acted and said so, the event is not acknowledged", Placed: true},
		{Name: "act.acked", Moment: "the event is acknowledged, as far as this process knows", Placed: true},
		{Name: "payments.before_create", Moment: "Stripe is about to be asked for an intent"},
		{Name: "payments.after_create", Moment: "Stripe has made it, the log does not say so"},
		{Name: "payments.before_capture", Moment: "Stripe is about to be asked for the money"},
		{Name: "payments.after_capture", Moment: "Stripe has taken it, the log does not say so"},
		{Name: "payments.before_cancel", Moment: "Stripe is about to be asked to let go of an intent"},
		{Name: "payments.after_cancel", Moment: "Stripe has let go of it, the log does not say so"},
		{Name: "notifications.before_smtp", Moment: "a mail is written, nobody has been dialled"},
		{Name: "notifications.before_data", Moment: "the log says that the mail is being sent, no byte of it has been"},
		{Name: "notifications.after_data", Moment: "the mail server has answered to the mail, the log does not say so"},

		{Name: "view.fetched", Moment: "a view has a batch of events", Placed: true},
		{Name: "view.archived", Moment: "they are in the archive, the documents are old", Placed: true},
		{Name: "view.written", Moment: "the documents are new, the events are not acknowledged", Placed: true},
		{Name: "view.acked", Moment: "they are, as far as this process knows", Placed: true},

		{Name: "timers.before_set", Moment: "deadlines are gathered, the broker's clock is not set"},
		{Name: "timers.fired", Moment: "a timer has fired, none of its orders was looked at"},
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
