// Package disktest is a disk whose power can be cut, for tests of what survives that.
//
//	program ─► ext4 ─► loop device ─► a file of FUSE ─► [Disk] in the test's memory
//
// A disk may keep what it was told to write in its cache, in any order and for as long as it likes, until it is told to
// flush. So does this one: only a flush makes writes last, and when the power is cut a choice of those that were not
// flushed survives, sector by sector. Copying the file of a loop device instead would show a disk that never forgets
// anything that has reached it, and that no program could tell from one without a cache.
//
// The file system above is the kernel's own, as is its recovery when the disk is mounted again. It takes Linux, root,
// /dev/fuse and mkfs.ext4: see [Missing].
package disktest
