package architecture

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Tree is the content of a repository without ignored files.
type Tree struct {
	Top   []string // names at the top level, with a slash after directories
	Texts []Text   // files without a zero byte
}

// Text is a text file.
type Text struct {
	Path    string
	Content []byte
}

// Load reads a repository. It skips files that .gitignore names, and executables at the top level, which go build leaves there.
func Load(root fs.FS) (Tree, error) {
	ignored, err := ignoredNames(root)
	if err != nil {
		return Tree{}, err
	}
	var tree Tree
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case name == ".git" || ignored(name):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			if path.Dir(name) == "." {
				tree.Top = append(tree.Top, name+"/")
			}
			return nil
		}
		return tree.add(root, name, entry)
	})
	return tree, err
}

func (t *Tree) add(root fs.FS, name string, entry fs.DirEntry) error {
	atTop := path.Dir(name) == "."
	if info, err := entry.Info(); err != nil || !info.Mode().IsRegular() || atTop && info.Mode()&0o111 != 0 {
		return err
	}
	if atTop {
		t.Top = append(t.Top, name)
	}
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if bytes.IndexByte(content, 0) < 0 {
		t.Texts = append(t.Texts, Text{Path: name, Content: content})
	}
	return nil
}

func (t Tree) text(name string) (content []byte, ok bool) {
	for _, text := range t.Texts {
		if text.Path == name {
			return text.Content, true
		}
	}
	return nil, false
}

// ignoredNames returns a function that reports whether .gitignore names a file. It supports the two kinds of pattern in use: a
// name with wildcards, and one that begins with a slash and matches only at the top level.
func ignoredNames(root fs.FS) (func(string) bool, error) {
	content, err := fs.ReadFile(root, ".gitignore")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read .gitignore: %w", err)
	}
	patterns := strings.Fields(string(content))
	return func(name string) bool {
		for _, pattern := range patterns {
			subject := path.Base(name)
			if strings.HasPrefix(pattern, "/") {
				subject = "/" + name
			}
			if matched, err := path.Match(strings.TrimSuffix(pattern, "/"), subject); err == nil && matched {
				return true
			}
		}
		return false
	}, nil
}
