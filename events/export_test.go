package events

// DefineSince adds a type that only newer programs know to the definitions of the tests, before any of them runs.
func DefineSince[P Payload](topology int) {
	d := define[P](1, nil).since(topology)
	definitions[d.Type] = d
}

// Define adds a type to the definitions of the tests, before any of them runs.
func Define[P Payload](version int, upcast map[int]Upcaster) {
	d := define[P](version, upcast).since(1)
	definitions[d.Type] = d
}
