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

// ErrHeader is returned when a file does not begin with the columns of the sales ledger.
var ErrHeader = errors.New("not a sales ledger")

// Columns are the header of the sales ledger.
var Columns = []string{"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"}

// Row is one line of a ledger below its header, cut into cells and not judged yet.
type Row struct {
	Number int      // in the file, from 1; the header is line 1
	Text   string   // as it stands in the file
	Cells  []string // as many as there are columns; nil when Err says why the line cannot be cut
	Err    error
}

// maxLine bounds a line: the longest of the real ledger has some 120 bytes.
const maxLine = 64 << 10

// watchStep is how many bytes are read before that is told again.
const watchStep = 1 << 20

// Watch returns a reader that tells how many bytes of another one have been read: at the first read, then every megabyte.
func Watch(r io.Reader, told func(bytes int64)) io.Reader { return &watched{from: r, told: told} }

type watched struct {
	from io.Reader
	told func(bytes int64)
	read int64
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.from.Read(p)
	before := w.read
	if w.read += int64(n); before == 0 || w.read/watchStep > before/watchStep {
		w.told(w.read)
	}
	return n, err
}

// EachRow reads a ledger and hands over its rows; empty lines are none. Lines are split before they are cut, since no cell of
// the ledger holds a line break: a stray quote spoils its own line and not the file. It ends with the first error that
// each returns, which is given the number of the line, with [ErrHeader], or with an error of the reader.
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
		row.Cells, row.Err = cutRow(row.Text)
		if err := each(row); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read line %d: %w", number+1, err)
	}
	return nil
}

// cutRow returns the cells of a line. What a tool wrote as text, so that no spreadsheet takes it for a formula, is read as
// what it was.
func cutRow(text string) ([]string, error) {
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
		row[i] = output.CellText(cell)
	}
	return row, nil
}

// cells cuts a line; one without quotes, as most are, costs no reader.
func cells(text string) ([]string, error) {
	if !strings.Contains(text, `"`) {
		return strings.Split(text, ","), nil
	}
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	return r.Read()
}
