package output_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillstream/cmd/internal/output"
)

func TestAnOutputIsNoInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	input := at("ledger.csv")
	for _, err := range []error{
		os.WriteFile(input, []byte("precious"), 0o600),
		os.WriteFile(at("other.csv"), nil, 0o600),
		os.Symlink("ledger.csv", at("symlink")),
		os.Symlink("symlink", at("symlink2")),
		os.Link(input, at("hardlink")),
		os.Symlink(dir, at("folder")),
		os.Symlink("new.json", at("dangling")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		out, other string
		same       bool
	}{
		"Itself":           {input, input, true},
		"NotCleaned":       {dir + "/./ledger.csv", input, true},
		"SymbolicLink":     {at("symlink"), input, true},
		"LinkOfALink":      {at("symlink2"), input, true},
		"HardLink":         {at("hardlink"), input, true},
		"LinkedFolder":     {at("folder/ledger.csv"), input, true},
		"InputIsTheLink":   {input, at("symlink"), true},
		"OtherFile":        {at("other.csv"), input, false},
		"NotThereYet":      {at("new.csv"), input, false},
		"NothingGiven":     {"", input, false},
		"NoInput":          {input, "", false},
		"TwoNewOnes":       {at("new.json"), at("folder/new.json"), true},
		"TwoNewOnesLinked": {at("dangling"), at("new.json"), true},
		"TwoOthers":        {at("new.json"), at("new.csv"), false},
		"Device":           {os.DevNull, os.DevNull, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := output.Apart(output.File{Name: "--refused", Path: test.out}, output.File{Name: "the ledger", Path: test.other})
			if errors.Is(err, output.ErrSameFile) != test.same {
				t.Errorf("got %v, want the same file: %t", err, test.same)
			}
			if test.same && (!strings.Contains(err.Error(), "--refused") || !strings.Contains(err.Error(), "the ledger")) {
				t.Errorf("does not name both: %v", err)
			}
		})
	}
}

var cells = map[string]string{
	"=1+1": "'=1+1", "+44 20": "'+44 20", "-5": "'-5", "@SUM(A1)": "'@SUM(A1)", "\tx": "'\tx", "\rx": "'\rx", "\nx": "'\nx", "＝1": "'＝1",
	"'=1": "''=1", "''@": "'''@",
	"": "", "'": "'", "it's = 1": "it's = 1", "'quoted'": "'quoted'", "536365,=1": "536365,=1", "1-2": "1-2",
}

func TestAFormulaIsWrittenAsText(t *testing.T) {
	t.Parallel()
	for text, want := range cells {
		if got := output.Cell(text); got != want {
			t.Errorf("%q is written %q, want %q", text, got, want)
		}
	}
}

func TestWhatWasWrittenIsReadBack(t *testing.T) {
	t.Parallel()
	for text := range cells {
		var file bytes.Buffer
		w := csv.NewWriter(&file)
		if err := w.WriteAll([][]string{{"1", output.Cell(text)}}); err != nil {
			t.Fatal(err)
		}
		row, err := csv.NewReader(&file).Read()
		if err != nil {
			t.Fatal(err)
		}
		if got := output.CellText(row[1]); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
	}
}

func FuzzCell(f *testing.F) {
	for text := range cells {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cell := output.Cell(text)
		if strings.IndexAny(cell, "=+-@\t\r\n") == 0 {
			t.Errorf("%q is written %q", text, cell)
		}
		if got := output.CellText(cell); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
	})
}
