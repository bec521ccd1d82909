package failpoint

// Point is a failpoint.
type Point struct {
	Name   string
	State  string // what is done and what is not when the point is reached
	Placed bool   // reached in several places (lanes, periodic jobs), each with a name
}

// Points returns all failpoints, in the order in which a purchase reaches them. A process has one committer and one decide loop,
// so their points have no place.
func Points() []Point {
	return []Point{
		{Name: "http.order_received", State: "a request for an order is received, nothing is stored"},
		{Name: "http.order_stored", State: "the order is stored, the 201 is not sent"},
		{Name: "http.webhook_received", State: "the signature of a webhook is checked, nothing is stored"},
		{Name: "http.webhook_stored", State: "the webhook is stored, the 200 is not sent"},

		{Name: "append.gathered", State: "transactions are gathered for a commit, none is committed"},
		{Name: "append.half_sent", State: "an atomic batch is sent except for its last message, which commits it"},
		{Name: "append.stored", State: "the broker has answered, the callers of commit have no answer yet"},

		{Name: "decide.fetched", State: "the decide loop has received a batch of events"},
		{Name: "decide.decided", State: "the decisions are made, nothing is committed"},
		{Name: "decide.committed", State: "the decisions are committed, the lanes have not advanced"},

		{Name: "act.begun", State: "an act lane has received an event", Placed: true},
		{Name: "act.done", State: "the act is done and its result committed, the lane still counts the act as open", Placed: true},
		{Name: "payments.before_create", State: "the request for a payment intent is not yet sent to Stripe"},
		{Name: "payments.after_create", State: "Stripe has created the intent, the log does not have it"},
		{Name: "payments.before_capture", State: "the capture is not yet sent to Stripe"},
		{Name: "payments.after_capture", State: "Stripe has captured the payment, the log does not have it"},
		{Name: "payments.before_cancel", State: "the cancellation of an intent is not yet sent to Stripe"},
		{Name: "payments.after_cancel", State: "Stripe has cancelled the intent, the log does not have it"},
		{Name: "payments.before_refund", State: "a refund is not yet sent to Stripe"},
		{Name: "payments.after_refund", State: "Stripe has made the refund, the log does not have it"},
		{Name: "notifications.before_smtp", State: "a mail is rendered, the mail server is not yet dialled"},
		{Name: "notifications.before_data", State: "the log has the attempt to send the mail, no byte of the mail is sent"},
		{Name: "notifications.after_data", State: "the mail server has answered, the log does not have the result"},

		{Name: "batch.fetched", State: "a projection or the archive has received a batch of events", Placed: true},
		{Name: "project.rendered", State: "the documents are rendered, the database has the old ones", Placed: true},
		{Name: "project.written", State: "the database has the new documents", Placed: true},
		{Name: "archive.written", State: "the events are in the archive", Placed: true},
		{Name: "batch.written", State: "the batch is written, the lane has not advanced", Placed: true},

		{Name: "checkpoint.before_save", State: "a lane is ahead of its checkpoint", Placed: true},
		{Name: "checkpoint.saved", State: "the broker has stored the checkpoint, the lane has not recorded that", Placed: true},

		{Name: "replay.handled", State: "a lane has handled a batch of a replay again, its outcome is not stored", Placed: true},
		{Name: "replay.answered", State: "the outcome of a batch is stored, the lane's position is before it", Placed: true},

		{Name: "timers.fired", State: "a deadline has passed, its order is not yet examined"},
		{Name: "periodic.begun", State: "a periodic job begins", Placed: true},
		{Name: "periodic.done", State: "a periodic job is done", Placed: true},
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
