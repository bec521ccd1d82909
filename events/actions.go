package events

// PrefixAction is the subject prefix of [ActionRecorded]; the id of the action follows.
const PrefixAction = "ops.actions."

// ActionRecorded: staff carried out an action of the terminal that leaves no other event in the log, such as a backup. It is
// appended when the action has ended, because an event in between would take a sequence that a repair gives back to a lost one.
type ActionRecorded struct {
	Action    string   `json:"action"`              // the command, such as "repair"
	Arguments []string `json:"arguments,omitempty"` // what it was applied to, without passwords
	Outcome   string   `json:"outcome"`             // what it changed, or why it ended without
}

// EventType implements [Payload].
func (ActionRecorded) EventType() string { return "ops.action_recorded" }
