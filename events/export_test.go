package events

// Define adds a type to the catalogue of the tests, before any of them runs.
func Define[P Payload](version int, upcast map[int]Upcaster) {
	d := define[P](version, upcast).since(1)
	catalogue[d.Type] = d
}
