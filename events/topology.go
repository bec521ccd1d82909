package events

import "fmt"

// Topology is the version of the streams, subjects and event types that this program knows. A release that adds one of them
// counts it up, and says so in the [Definition] of each new type or version:
//
//	define[OrderNoted](1, nil).since(2),
//
// While processes of the release before are running, the new type is not written. A new field that older programs may leave
// out needs no new topology.
const Topology = 1

// since says which topology brought a type, or its newest version.
func (d Definition) since(topology int) Definition {
	d.Since = topology
	return d
}

// Since returns the first topology that knows a type in the version that this program writes; 0 for an unknown type.
func Since(eventType string) int { return definitions[eventType].Since }

// CheckTopology returns [ErrNewer] for an event that a program of a topology does not understand.
func CheckTopology(e Event, topology int) error {
	if e.Topology > topology {
		return fmt.Errorf("%w: %.80q needs topology %d, this program knows %d", ErrNewer, e.Type, e.Topology, topology)
	}
	return nil
}
