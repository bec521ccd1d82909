package events

// disputeRanks are the statuses of a dispute in the order in which it has them. An inquiry that was closed can still become a
// dispute, and a bank can change its verdict.
var disputeRanks = map[string]int{DisputeWarningNeedsResponse: 1, DisputeWarningUnderReview: 2, DisputeWarningClosed: 3,
	DisputeNeedsResponse: 4, DisputeUnderReview: 5, DisputeWon: 6, DisputeLost: 6}

// DisputeRank returns the place of a status in the course of a dispute, from 1, or 0 for a status that this program does not know.
// A dispute never goes back to a status with a lower rank.
func DisputeRank(status string) int { return disputeRanks[status] }

// DisputeClosed reports whether a dispute with a status has ended.
func DisputeClosed(status string) bool {
	return status == DisputeWon || status == DisputeLost || status == DisputeWarningClosed
}

// DisputeInquiry reports whether a status is that of an inquiry, for which no money moves.
func DisputeInquiry(status string) bool {
	rank := DisputeRank(status)
	return rank > 0 && rank <= disputeRanks[DisputeWarningClosed]
}
