// Package output has what programs need to write results for people: safe files, safe spreadsheet cells and numbers as text.
//
// [Apart] refuses an output file that is also an input, under the same name or through a link: opening it for writing would
// empty the input before it is read. [Cell] escapes text for CSV files, because a spreadsheet evaluates a cell that begins
// with a character such as = as a formula, even if the text comes from an attacker; [CellText] reverses it. [Number] and
// [Count] write 12,345 and "1 order".
package output
