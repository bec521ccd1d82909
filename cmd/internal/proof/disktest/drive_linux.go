package disktest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Missing says what a test of power cuts lacks here; "" when it can run.
func Missing() string {
	if os.Geteuid() != 0 {
		return "mounting takes root"
	}
	for _, device := range []string{"/dev/fuse", "/dev/loop-control"} {
		file, err := os.OpenFile(device, os.O_RDWR, 0)
		if err != nil {
			return fmt.Sprintf("there is no %s: %v", device, err)
		}
		_ = file.Close() // it was only to be seen whether it opens
	}
	for _, program := range []string{"mkfs.ext4", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Sprintf("there is no %s: %v", program, err)
		}
	}
	return ""
}

// inside tells a test binary that it is the one that was started in a mount namespace of its own.
const inside = "DISKTEST_INSIDE"

// Inside has a test run again, in a process with a mount namespace of its own, and reports whether this is that process.
// The one outside only tells what came of it. What is mounted inside is seen by nobody else, and gone when the process
// is, even if it is killed.
func Inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the child would die with the thread that started it
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		t.Errorf("in its own namespace: %v", err)
	}
	return false
}

// Drive is a [Disk] with ext4 on it, mounted.
type Drive struct {
	Dir string // where

	disk *Disk
	plug *plug
	base string
	cuts int
}

// NewDrive formats and mounts an empty disk. The test must be [Inside].
func NewDrive(t *testing.T, size int64) *Drive {
	t.Helper()
	d := &Drive{disk: NewDisk(size), base: t.TempDir()}
	t.Cleanup(func() { d.unmount(t) })
	d.plugIn(t)
	d.run(t, "mkfs.ext4", "-q", "-E", "nodiscard", d.plug.file())
	d.mount(t)
	return d
}

// Cut takes the power away: what the disk has in its cache survives as survives says, a sector at a time. Whoever works
// on the disk gets nothing but errors from it.
func (d *Drive) Cut(t *testing.T, survives func() bool) {
	t.Helper()
	after, cached := d.disk.Cut(survives)
	t.Logf("the power is cut: after %d flushes there were %d sectors in the disk's cache", d.disk.Flushes(), cached)
	d.disk = after
}

// Restore mounts what the power cut has left, in place of what was there. Nobody may be working on it any more.
func (d *Drive) Restore(t *testing.T) {
	t.Helper()
	d.unmount(t)
	d.cuts++
	d.plugIn(t)
	d.mount(t)
}

func (d *Drive) plugIn(t *testing.T) {
	t.Helper()
	dir := filepath.Join(d.base, fmt.Sprintf("plug-%d", d.cuts))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := plugIn(d.disk, dir)
	if err != nil {
		t.Fatal(err)
	}
	d.plug = p
}

func (d *Drive) mount(t *testing.T) {
	t.Helper()
	d.Dir = filepath.Join(d.base, fmt.Sprintf("mount-%d", d.cuts))
	if err := os.Mkdir(d.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d.run(t, "mount", "-t", "ext4", "-o", "loop", d.plug.file(), d.Dir)
}

// unmount gives everything back. What the kernel would still like to write is refused by a disk without power.
func (d *Drive) unmount(t *testing.T) {
	t.Helper()
	if d.plug == nil {
		return
	}
	if d.Dir != "" {
		if err := unix.Unmount(d.Dir, 0); err != nil {
			t.Errorf("unmount %s: %v", d.Dir, err)
		}
	}
	if err := d.plug.pull(); err != nil {
		t.Errorf("pull the plug: %v", err)
	}
	d.plug, d.Dir = nil, ""
}

func (d *Drive) run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Small mounts a file system in memory that is full after so many bytes. The test must be [Inside].
func Small(t *testing.T, size int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("disktest", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatalf("mount a file system in memory: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// Fill takes what room is left on a file system, until free gives it back.
func Fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("fill %s: %v", dir, err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}
