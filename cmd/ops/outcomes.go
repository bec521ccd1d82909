package main

import (
	"fmt"

	"tillstream/cmd/internal/output"
	"tillstream/events/replay"
)

// listedOutcomes is how many outcomes are listed one by one. More are counted: nobody reads 500 lines that say "redriven".
const listedOutcomes = 20

// outcomeTable lists outcomes, or counts them by lane and outcome with the first of each as an example.
func outcomeTable(outcomes []outcome) *table {
	if len(outcomes) > listedOutcomes {
		return countOutcomes(outcomes)
	}
	rows := newTable("NUMBER>", "LANE", "SEQUENCE>", "ATTEMPT>", "OUTCOME")
	rows.lead = true
	for _, o := range outcomes {
		rows.add(fmt.Sprint(o.Number), cell{o.Lane, bold}, fmt.Sprint(o.Sequence), fmt.Sprint(o.Attempt), cell{o.text(), o.style()})
	}
	return rows
}

func countOutcomes(outcomes []outcome) *table {
	type group struct{ lane, outcome string }
	var groups []group
	counts, examples := map[group]int{}, map[group]outcome{}
	for _, o := range outcomes {
		g := group{o.Lane, o.Outcome}
		if counts[g]++; counts[g] == 1 {
			groups, examples[g] = append(groups, g), o
		}
	}
	rows := newTable("COUNT>", "LANE", "FIRST>", "OUTCOME")
	rows.lead = true
	for _, g := range groups {
		rows.add(output.Number(counts[g]), cell{g.lane, bold}, fmt.Sprint(examples[g].Number), cell{examples[g].text(), examples[g].style()})
	}
	return rows
}

func (o outcome) style() style {
	if o.Outcome == string(replay.StateRedriven) {
		return green
	}
	return red
}
