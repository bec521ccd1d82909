package project_test

import (
	"errors"
	"testing"
	"time"

	"tillstream/events/project"
)

func TestAQueryRestsForAsLongAsItIsSlow(t *testing.T) {
	t.Parallel()
	away := errors.New("the database is away")
	for name, c := range map[string]struct {
		took time.Duration
		err  error
		rest time.Duration
	}{
		"AtOnce":       {0, nil, 0},
		"Indexed":      {2 * time.Millisecond, nil, 0},
		"BusyMachine":  {100 * time.Millisecond, nil, 0},
		"WholeLot":     {4100 * time.Millisecond, nil, 200 * time.Second},
		"WholeLongLot": {time.Minute, nil, 15 * time.Minute},
		"Away":         {5 * time.Second, away, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now, asked := time.Unix(1_700_000_000, 0), 0
			p := project.Pace{Now: func() time.Time { return now }}
			query := func() error { asked++; now = now.Add(c.took); return c.err }
			if err := p.Ask(query); !errors.Is(err, c.err) || asked != 1 {
				t.Fatalf("asked %d times, %v", asked, err)
			}
			if c.rest > 0 {
				now = now.Add(c.rest - 1)
				if err := p.Ask(query); err != nil || asked != 1 {
					t.Errorf("asked %d times while it rests, %v", asked, err)
				}
				now = now.Add(1)
			}
			if err := p.Ask(query); !errors.Is(err, c.err) || asked != 2 {
				t.Errorf("asked %d times after its rest, %v", asked, err)
			}
		})
	}
}
