package loadgen

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"tillstream/cmd/internal/catalogue"
)

// Invoices are the sales of a file and what of it is no sale.
type Invoices struct {
	List    []Invoice
	LeftOut map[string]int // lines by reason
	Empty   []string       // invoices that have no line left
	Lines   int            // of the file
}

// ReadInvoices reads an Online Retail file. What is a sale the catalogue's rules decide; who bought and where is read here.
func ReadInvoices(file io.ReadSeeker) (Invoices, error) {
	sales, err := catalogue.Invoices(file)
	if err != nil {
		return Invoices{}, fmt.Errorf("read the invoices: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return Invoices{}, fmt.Errorf("read the invoices: %w", err)
	}
	buyers, err := readBuyers(file)
	if err != nil {
		return Invoices{}, err
	}
	in := Invoices{LeftOut: map[string]int{}, Empty: sales.Empty, Lines: sales.Lines}
	for reason, n := range sales.LeftOut {
		in.LeftOut[string(reason)] = n
	}
	for _, sale := range sales.Invoices {
		invoice := buyers[sale.Number]
		for _, line := range sale.Lines {
			invoice.Lines = append(invoice.Lines, Line(line))
		}
		in.List = append(in.List, invoice)
	}
	return in, nil
}

// readBuyers gives the number, customer and country of every invoice, as its first row has them.
func readBuyers(file io.Reader) (map[string]Invoice, error) {
	rows, err := openRows(file)
	if err != nil {
		return nil, err
	}
	buyers := map[string]Invoice{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return buyers, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadFile, err)
		}
		number := strings.TrimSpace(row[0])
		if _, known := buyers[number]; !known && len(row) == len(catalogue.Columns) {
			number = strings.Clone(number) // the row's memory is used again
			buyers[number] = Invoice{Number: number, CustomerID: strings.Clone(strings.TrimSpace(row[6])), Country: strings.Clone(strings.TrimSpace(row[7]))}
		}
	}
}

// openRows reads the header and returns what stands below it.
func openRows(file io.Reader) (*csv.Reader, error) {
	rows := csv.NewReader(file)
	rows.ReuseRecord, rows.FieldsPerRecord, rows.LazyQuotes = true, -1, true
	header, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadFile, err)
	}
	if len(header) != len(catalogue.Columns) || !strings.HasSuffix(header[0], "InvoiceNo") || header[1] != "StockCode" {
		return nil, fmt.Errorf("%w: its columns are %v", ErrBadFile, header)
	}
	return rows, nil
}
