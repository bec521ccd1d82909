package events

// DefineSince adds a type that only newer programs know to the catalogue of the tests, before any of them runs.
func DefineSince[P Payload](topology int) {
	d := define[P](1, nil).since(topology)
	catalogue[d.Type] = d
}

// Define adds a type to the catalogue of the tests, before any of them runs.
func Define[P Payload](version int, upcast map[int]Upcaster) {
	d := define[P](version, upcast).since(1)
	catalogue[d.Type] = d
}
