// Package disktest provides a disk whose power can be cut, for tests of what survives a power failure.
//
//	program ─► ext4 ─► loop device ─► a file of FUSE ─► [Disk] in the test's memory
//
// A real disk keeps written sectors in a volatile cache, in any order and for any time, until it is told to flush. So does
// [Disk]: only a flush makes writes durable. When the power is cut, the test chooses for each sector in the cache whether it
// survives. Copying the file of an ordinary loop device would not show the loss: the copy has every write that reached the
// device, as if the disk had no cache.
//
// The file system is the kernel's ext4, and so is its recovery when the disk is mounted again. The package requires Linux,
// root, /dev/fuse and mkfs.ext4: see [Missing].
package disktest
