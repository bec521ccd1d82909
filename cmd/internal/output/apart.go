package output

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrSameFile is returned when an output is also an input, or two outputs are one file.
var ErrSameFile = errors.New("is the same file")

// File is a file that a tool was told to use. One without a path is not looked at.
type File struct {
	Name string // as the user knows it, such as "--refused"
	Path string
}

// Apart returns [ErrSameFile] when the output is one of the other files, whether by name or through a symbolic or a hard
// link. Call it before anything is opened for writing: to open a file is to empty it. What is not there yet can only be
// another output, and is told by its name.
func Apart(out File, others ...File) error {
	for _, other := range others {
		if out.Path == "" || other.Path == "" || !same(out.Path, other.Path) {
			continue
		}
		return fmt.Errorf("%s %s %w as %s %s, which writing would destroy; name another file", out.Name, out.Path, ErrSameFile, other.Name, other.Path)
	}
	return nil
}

func same(a, b string) bool {
	there, err := os.Stat(a)
	if err != nil {
		return place(a) == place(b)
	}
	also, err := os.Stat(b)
	return err == nil && there.Mode().IsRegular() && os.SameFile(there, also)
}

// place is where a file will be that is not there yet: a symbolic link is followed to what it names, and a directory to
// where it is. A path that cannot be resolved is its own place; opening the file will say why.
func place(path string) string {
	for range 40 { // as many links as Linux follows
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, filepath.Base(path))
}
