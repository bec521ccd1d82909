package output_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillstream/cmd/internal/output"
)

func TestCheckDistinctRefusesAnOutputThatIsAnInput(t *testing.T) {
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
		"Itself":                 {input, input, true},
		"UncleanPath":            {dir + "/./ledger.csv", input, true},
		"SymbolicLink":           {at("symlink"), input, true},
		"LinkToALink":            {at("symlink2"), input, true},
		"HardLink":               {at("hardlink"), input, true},
		"LinkedDirectory":        {at("folder/ledger.csv"), input, true},
		"InputIsTheLink":         {input, at("symlink"), true},
		"OtherFile":              {at("other.csv"), input, false},
		"NewFile":                {at("new.csv"), input, false},
		"NoOutput":               {"", input, false},
		"NoInput":                {input, "", false},
		"OneNewFile":             {at("new.json"), at("folder/new.json"), true},
		"OneNewFileThroughALink": {at("dangling"), at("new.json"), true},
		"TwoNewFiles":            {at("new.json"), at("new.csv"), false},
		"Device":                 {os.DevNull, os.DevNull, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := output.CheckDistinct(output.File{Name: "--refused", Path: test.out}, output.File{Name: "the ledger", Path: test.other})
			if errors.Is(err, output.ErrSameFile) != test.same {
				t.Errorf("got error %v, want ErrSameFile: %t", err, test.same)
			}
			if test.same && (!strings.Contains(err.Error(), "--refused") || !strings.Contains(err.Error(), "the ledger")) {
				t.Errorf("got error %v, want both files named", err)
			}
		})
	}
}

var cells = map[string]string{
	"=1+1": "'=1+1", "+44 20": "'+44 20", "-5": "'-5", "@SUM(A1)": "'@SUM(A1)", "\tx": "'\tx", "\rx": "'\rx", "\nx": "'\nx", "＝1": "'＝1",
	"'=1": "''=1", "''@": "'''@",
	"": "", "'": "'", "it's = 1": "it's = 1", "'quoted'": "'quoted'", "536365,=1": "536365,=1", "1-2": "1-2",
}

func TestEscapeCellEscapesFormulas(t *testing.T) {
	t.Parallel()
	for text, want := range cells {
		if got := output.EscapeCell(text); got != want {
			t.Errorf("EscapeCell(%q): got %q, want %q", text, got, want)
		}
	}
}

func TestUnescapeCellReturnsTheOriginal(t *testing.T) {
	t.Parallel()
	for text := range cells {
		var file bytes.Buffer
		w := csv.NewWriter(&file)
		if err := w.WriteAll([][]string{{"1", output.EscapeCell(text)}}); err != nil {
			t.Fatal(err)
		}
		row, err := csv.NewReader(&file).Read()
		if err != nil {
			t.Fatal(err)
		}
		if got := output.UnescapeCell(row[1]); got != text {
			t.Errorf("UnescapeCell after a CSV file: got %q, want %q", got, text)
		}
	}
}

func FuzzEscapeCell(f *testing.F) {
	for text := range cells {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cell := output.EscapeCell(text)
		if strings.IndexAny(cell, "=+-@\t\r\n") == 0 {
			t.Errorf("EscapeCell(%q): got %q, which begins like a formula", text, cell)
		}
		if got := output.UnescapeCell(cell); got != text {
			t.Errorf("UnescapeCell(EscapeCell(%q)): got %q, want the text", text, got)
		}
	})
}

func TestNumberAndCountFormatNumbers(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		output.Number(0):                      "0",
		output.Number(999):                    "999",
		output.Number(-1000):                  "-1,000",
		output.Number(uint64(math.MaxUint64)): "18,446,744,073,709,551,615",
		output.Number(int64(math.MinInt64)):   "-9,223,372,036,854,775,808",
		output.Count(0, "order"):              "0 orders",
		output.Count(1, "dead letter"):        "1 dead letter",
		output.Count(uint64(12345), "order"):  "12,345 orders",
		output.Count(2, "entry"):              "2 entries",
		output.Count(2, "day"):                "2 days",
		output.Count(2, "batch"):              "2 batches",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
