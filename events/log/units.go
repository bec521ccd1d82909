package log

// units tells which decisions of a transaction belong together. Each cause begins a unit. Two units that touched one
// entity are joined: the later one was decided on what the earlier one said, so they stand or fall together.
type units struct {
	current int
	parent  []int // index: unit; value: a unit that it was joined to, or itself
}

func (u *units) begin() int {
	u.grow()
	u.current = len(u.parent)
	u.parent = append(u.parent, u.current)
	return u.current
}

// grow makes room for unit 0: what is decided before the first cause.
func (u *units) grow() {
	if len(u.parent) == 0 {
		u.parent = []int{0}
	}
}

// join puts the current unit and another one together.
func (u *units) join(other int) {
	u.grow()
	if a, b := u.root(u.current), u.root(other); a != b {
		u.parent[a] = b
	}
}

func (u *units) root(unit int) int {
	u.grow()
	for u.parent[unit] != unit {
		u.parent[unit] = u.parent[u.parent[unit]]
		unit = u.parent[unit]
	}
	return unit
}
