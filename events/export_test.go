package events

// DefineSince adds a type that programs know since a topology. Call it before the tests run.
func DefineSince[P Payload](topology int) {
	d := define[P](1, nil).since(topology)
	definitions[d.Type] = d
}

// Define adds a type. Call it before the tests run.
func Define[P Payload](version int, upcast map[int]Upcaster) {
	d := define[P](version, upcast).since(1)
	definitions[d.Type] = d
}
