// Package output helps programs to write results that people read: it protects input files from being overwritten, escapes
// cells for spreadsheets, formats numbers, and overwrites the progress line of a terminal.
//
// [CheckDistinct] refuses an output file that is also an input, under the same name or through a link: opening it for writing
// would empty the input before it is read. [EscapeCell] escapes text for CSV files, because a spreadsheet evaluates a cell that
// begins with a character such as = as a formula, even if the text comes from an attacker; [UnescapeCell] reverses it.
// [Number] formats 12345 as "12,345", and [Count] adds a noun in the right number: "1 order", "2 entries".
// [ProgressLine] and [ClearLine] are for terminals only.
package output
