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

// Missing returns what this machine lacks for a [Drive], "" if nothing.
func Missing() string {
	if os.Geteuid() != 0 {
		return "mounting requires root"
	}
	for _, device := range []string{"/dev/fuse", "/dev/loop-control"} {
		file, err := os.OpenFile(device, os.O_RDWR, 0)
		if err != nil {
			return fmt.Sprintf("cannot open %s: %v", device, err)
		}
		_ = file.Close() // opened only as a check
	}
	for _, program := range []string{"mkfs.ext4", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Sprintf("cannot find %s: %v", program, err)
		}
	}
	return ""
}

// inside is the environment variable of a test binary that runs in its own mount namespace.
const inside = "DISKTEST_INSIDE"

// Inside runs the test again in a process with its own mount namespace. It returns true in that process. In the first process
// it returns false after the other has ended, and fails the test if the other failed. Mounts in the namespace are invisible to
// other processes and disappear with the process, even if it is killed.
func Inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig kills the process when the thread that started it ends
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		t.Errorf("run the test in its own namespace: %v", err)
	}
	return false
}

// Drive is a [Disk] with a mounted ext4 file system.
type Drive struct {
	Dir string // mount point

	disk *Disk
	fuse *fuseFile
	base string
	cuts int
}

// NewDrive formats and mounts an empty disk. The test must be [Inside].
func NewDrive(t *testing.T, size int64) *Drive {
	t.Helper()
	d := &Drive{disk: NewDisk(size), base: t.TempDir()}
	t.Cleanup(func() { d.unmount(t) })
	d.expose(t)
	d.run(t, "mkfs.ext4", "-q", "-E", "nodiscard", d.fuse.path())
	d.mount(t)
	return d
}

// Cut cuts the power. survives decides for each sector in the cache whether it is kept. From now on every operation on the
// disk fails, until Restore.
func (d *Drive) Cut(t *testing.T, survives func() bool) {
	t.Helper()
	after, cached := d.disk.Cut(survives)
	t.Logf("power cut after %d flushes with %d sectors in the cache", d.disk.Flushes(), cached)
	d.disk = after
}

// Restore mounts the disk as the power cut has left it, at a new Dir. No process may use the old one any more.
func (d *Drive) Restore(t *testing.T) {
	t.Helper()
	d.unmount(t)
	d.cuts++
	d.expose(t)
	d.mount(t)
}

// expose makes the disk available as a file.
func (d *Drive) expose(t *testing.T) {
	t.Helper()
	dir := filepath.Join(d.base, fmt.Sprintf("fuse-%d", d.cuts))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := mountFUSE(d.disk, dir)
	if err != nil {
		t.Fatal(err)
	}
	d.fuse = f
}

func (d *Drive) mount(t *testing.T) {
	t.Helper()
	d.Dir = filepath.Join(d.base, fmt.Sprintf("mount-%d", d.cuts))
	if err := os.Mkdir(d.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d.run(t, "mount", "-t", "ext4", "-o", "loop", d.fuse.path(), d.Dir)
}

// unmount unmounts the file system and the FUSE file. A disk without power refuses what the kernel still writes.
func (d *Drive) unmount(t *testing.T) {
	t.Helper()
	if d.fuse == nil {
		return
	}
	if d.Dir != "" {
		if err := unix.Unmount(d.Dir, 0); err != nil {
			t.Errorf("unmount %s: %v", d.Dir, err)
		}
	}
	if err := d.fuse.close(); err != nil {
		t.Errorf("close the FUSE file: %v", err)
	}
	d.fuse, d.Dir = nil, ""
}

func (d *Drive) run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Small mounts an empty file system of a size in bytes, in memory. The test must be [Inside].
func Small(t *testing.T, size int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("disktest", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatalf("mount tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// Fill fills a file system until free is called.
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
