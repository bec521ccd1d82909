package output

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrSameFile is returned when an output file is also an input file or another output file.
var ErrSameFile = errors.New("is the same file")

// File is a file that a program reads or writes. A File without a path is ignored.
type File struct {
	Name string // in messages, such as "--refused"
	Path string
}

// CheckDistinct returns [ErrSameFile] when the output is one of the other files, by name or through a symbolic or hard link.
// Call it before any file is opened for writing, because that empties the file. Files that do not exist yet, such as two
// outputs, are compared by the paths at which they would be created.
func CheckDistinct(out File, others ...File) error {
	for _, other := range others {
		if out.Path == "" || other.Path == "" || !same(out.Path, other.Path) {
			continue
		}
		return fmt.Errorf("%s %s %w as %s %s, which writing would destroy; name another file", out.Name, out.Path, ErrSameFile, other.Name, other.Path)
	}
	return nil
}

// same reports whether two paths lead to one file. Devices such as /dev/null may be shared.
func same(a, b string) bool {
	infoA, err := os.Stat(a)
	if err != nil {
		return resolve(a) == resolve(b)
	}
	infoB, err := os.Stat(b)
	return err == nil && infoA.Mode().IsRegular() && os.SameFile(infoA, infoB)
}

// mostLinks is how many symbolic links Linux follows in one path.
const mostLinks = 40

// resolve returns the absolute path at which a file that does not exist yet will be created, with every symbolic link
// followed. A path that cannot be resolved is returned cleaned: opening the file reports the reason.
func resolve(path string) string {
	for range mostLinks {
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
