package asyncapi

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// readComments returns the comments of the types and fields that a directory declares, by "Type" and "Type.Field".
func readComments(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("read comments: no Go files in %s", dir)
	}
	comments := map[string]string{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read comments: %w", err)
		}
		for _, declaration := range file.Decls {
			if types, ok := declaration.(*ast.GenDecl); ok && types.Tok == token.TYPE {
				collectComments(types, comments)
			}
		}
	}
	return comments, nil
}

// collectComments adds the comments of types and of their fields.
func collectComments(types *ast.GenDecl, comments map[string]string) {
	for _, spec := range types.Specs {
		named := spec.(*ast.TypeSpec) // a type declaration contains nothing else
		comments[named.Name.Name] = oneLine(types.Doc)
		if structure, ok := named.Type.(*ast.StructType); ok {
			for _, field := range structure.Fields.List {
				for _, name := range field.Names {
					comments[named.Name.Name+"."+name.Name] = oneLine(field.Comment)
				}
			}
		}
	}
}

func oneLine(comment *ast.CommentGroup) string {
	return strings.Join(strings.Fields(comment.Text()), " ")
}
