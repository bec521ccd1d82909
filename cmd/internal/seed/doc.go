// Package seed is where listings come from that nobody types in: the demo assortment of a first start, and the sales
// ledger of a real shop.
//
// The ledger is CSV in the columns of the "Online Retail" data set (Daqing Chen, UCI Machine Learning Repository, 2015,
// https://doi.org/10.24432/C5BW33): one line per invoice line. It is read twice, for two purposes, by the same rules:
//
//	                       ┌─ ReadCSV   what was sold becomes items: title, price, stock
//	line ─► parsed, judged ┤
//	                       └─ Invoices  what was sold becomes orders to place
//
// Dates are read in one [DateFormat]. A file that turns out to write them in another is refused as a whole.
//
// The rules. A line is refused, by its number and a [Reason], when it cannot be read or is not about goods: postage,
// discounts, bank charges and the like ([NotGoods]). Stock codes are written in upper case, because the same article
// appears as 85123A and 85123a. Credit notes (invoice numbers that begin with C) and write-offs (quantity below zero or
// price zero) are about goods and are not refused; they tell what an item is called and what it costs, but they sell
// nothing.
package seed
