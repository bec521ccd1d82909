package console

import (
	"encoding/csv"
	"fmt"
	"net/http"

	"tillstream/cmd/internal/output"
)

// sendCSV writes a list as a CSV file for download. No spreadsheet evaluates its cells.
func sendCSV(w http.ResponseWriter, name string, rows [][]string) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.csv"`, name))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = output.EscapeCell(cell)
		}
	}
	return csv.NewWriter(w).WriteAll(rows)
}
