package architecture

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Module is the import path of the repository.
const Module = "tillstream"

// Tree is everything that stands in a repository and is not ignored.
type Tree struct {
	Top     []string // names at the top level; a directory's ends with a slash
	Sources []Source // Go files
	Texts   []Text   // every file without a zero byte
}

// Source is one Go file.
type Source struct {
	Path    string
	Package string
	Test    bool     // its name ends with _test.go
	Imports []string // paths
	Calls   []string // what it names of packages it imports, such as os.Getenv
	Inits   int      // functions called init
}

// Dir is the folder that the file stands in.
func (s Source) Dir() string { return path.Dir(s.Path) }

// Text is the content of one file.
type Text struct {
	Path    string
	Content []byte
}

// Load reads a repository. What .gitignore names is passed over, and so are programs that a build left at the top.
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
	if path.Ext(name) != ".go" {
		return nil
	}
	source, err := parse(name, content)
	if err != nil {
		return err
	}
	t.Sources = append(t.Sources, source)
	return nil
}

func parse(name string, content []byte) (Source, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, content, parser.SkipObjectResolution)
	if err != nil {
		return Source{}, fmt.Errorf("parse %s: %w", name, err)
	}
	s := Source{Path: name, Package: file.Name.Name, Test: strings.HasSuffix(name, "_test.go")}
	local := map[string]string{} // what a package is called in this file
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return Source{}, fmt.Errorf("parse %s: %w", name, err)
		}
		s.Imports = append(s.Imports, imported)
		local[path.Base(imported)] = imported
		if spec.Name != nil {
			local[spec.Name.Name] = imported
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				s.Inits++
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && local[x.Name] != "" {
				s.Calls = append(s.Calls, local[x.Name]+"."+n.Sel.Name)
			}
		}
		return true
	})
	return s, nil
}

// ignoredNames understands what our .gitignore needs: names with wildcards, at the top when they begin with a slash.
func ignoredNames(root fs.FS) (func(string) bool, error) {
	content, err := fs.ReadFile(root, ".gitignore")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read .gitignore: %w", err)
	}
	patterns := strings.Fields(string(content))
	return func(name string) bool {
		for _, pattern := range patterns {
			target := path.Base(name)
			if strings.HasPrefix(pattern, "/") {
				target = "/" + name
			}
			if matched, err := path.Match(strings.TrimSuffix(pattern, "/"), target); err == nil && matched {
				return true
			}
		}
		return false
	}, nil
}
