// Package seed provides item listings for a new shop: a demo assortment, and the items of a real shop's sales ledger. It also
// turns the sales of such a ledger into orders, for load tests.
//
// The ledger is a CSV file with the columns of the "Online Retail" data set (Daqing Chen, UCI Machine Learning Repository, 2015,
// https://doi.org/10.24432/C5BW33): one line per invoice line. Two functions read it by the same rules:
//
//	                       ┌─ ReadCSV   makes items of what was sold: title, price, stock
//	line ─► parse, check  ─┤
//	                       └─ Invoices  makes orders of what was sold
//
// Dates are read in one [DateFormat]. A file whose dates are evidently in another format is refused as a whole.
//
// A line is refused, with its number and a [Reason], if it cannot be parsed or is not about goods, such as postage, discounts
// and bank charges ([NotGoods]). Stock codes are converted to upper case, because the same item appears as 85123A and 85123a.
// Credit notes (invoice numbers that begin with C) and write-offs (quantity below zero or price zero) are about goods and
// are not refused: they contribute to the title and the price of an item, but they are not sales.
package seed
