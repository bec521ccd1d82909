package loadgen

import "context"

// Shortfall is what is missing of each item for a demand. What is demanded but not listed cannot be received either, and
// is left to the shop to refuse.
func Shortfall(demand map[string]int64, items []Item) []Line {
	var missing []Line
	for _, item := range items {
		if short := demand[item.SKU] - item.Available; short > 0 && demand[item.SKU] > 0 {
			missing = append(missing, Line{SKU: item.SKU, Quantity: short})
		}
	}
	return missing
}

// Receive books goods as received, through the staff's API. It is not repeated when an answer is missing, because that
// would book them twice.
func (s *Shop) Receive(ctx context.Context, goods []Line) error {
	for _, line := range goods {
		if err := s.receive(ctx, line.SKU, line.Quantity); err != nil {
			return err
		}
	}
	return nil
}

// CanReceive reports whether the staff's API is known.
func (s *Shop) CanReceive() bool { return s.at.Ops != "" && s.at.OpsToken != "" }
