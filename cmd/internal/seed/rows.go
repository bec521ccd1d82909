package seed

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"tillstream/cmd/internal/output"
)

// ErrHeader is returned when the first line of a file is not the header of the sales ledger.
var ErrHeader = errors.New("not a sales ledger")

// Columns is the header of the sales ledger.
var Columns = []string{"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"}

// Row is one line of a ledger after its header, split into cells.
type Row struct {
	Number int      // in the file; the header is line 1
	Text   string   // as in the file
	Cells  []string // one per column; nil if the line is malformed
	Err    error    // why the line is malformed
}

// maxLine is the maximum length of a line in bytes. The longest of the real ledger has about 120.
const maxLine = 64 << 10

// watchStep is the number of bytes between two calls of the function passed to [Watch].
const watchStep = 1 << 20

// Watch returns a reader that calls progress with the number of bytes read: at the first read, then every megabyte.
func Watch(r io.Reader, progress func(bytes int64)) io.Reader {
	return &watched{from: r, progress: progress}
}

type watched struct {
	from     io.Reader
	progress func(bytes int64)
	read     int64
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.from.Read(p)
	before := w.read
	if w.read += int64(n); before == 0 || w.read/watchStep > before/watchStep {
		w.progress(w.read)
	}
	return n, err
}

// EachRow reads a ledger and calls each for every row; empty lines are skipped. It splits the file into lines before it splits
// them into cells, since no cell contains a line break: a stray quote makes one line malformed, not the rest of the file.
// It returns the first error of each with the number of the line, [ErrHeader], or an error of the reader.
func EachRow(r io.Reader, each func(Row) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	if !lines.Scan() {
		return errors.Join(fmt.Errorf("%w: it is empty", ErrHeader), lines.Err())
	}
	header, err := cells(strings.TrimPrefix(lines.Text(), "\ufeff")) // byte order mark
	if err != nil || !slices.Equal(header, Columns) {
		return fmt.Errorf("%w: line 1 is %.200q, want %s", ErrHeader, lines.Text(), strings.Join(Columns, ","))
	}
	number := 1
	for lines.Scan() {
		number++
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		row := Row{Number: number, Text: lines.Text()}
		row.Cells, row.Err = splitRow(row.Text)
		if err := each(row); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read line %d: %w", number+1, err)
	}
	return nil
}

// splitRow returns the cells of a line. Cells that a tool has escaped, so that no spreadsheet treats them as formulas, are
// unescaped.
func splitRow(text string) ([]string, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("not UTF-8")
	}
	row, err := cells(text)
	if err != nil {
		return nil, err
	}
	if len(row) != len(Columns) {
		return nil, fmt.Errorf("%d columns, want %d", len(row), len(Columns))
	}
	for i, cell := range row {
		row[i] = output.UnescapeCell(cell)
	}
	return row, nil
}

// cells splits a line. Most lines have no quotes and need no CSV reader.
func cells(text string) ([]string, error) {
	if !strings.Contains(text, `"`) {
		return strings.Split(text, ","), nil
	}
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	return r.Read()
}
