package replay_test

import (
	"testing"
	"time"

	"tillstream/events/replay"
)

func TestParseWhenReadsWhatPeopleType(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 2*60*60)
	now := time.Date(2026, 11, 30, 14, 0, 0, 0, east)
	for text, want := range map[string]time.Time{
		"":                       {},
		"90m":                    now.Add(-90 * time.Minute),
		" 24h ":                  now.Add(-24 * time.Hour),
		"2026-11-29":             time.Date(2026, 11, 29, 0, 0, 0, 0, east),
		"2026-11-29 08:05":       time.Date(2026, 11, 29, 8, 5, 0, 0, east),
		"2026-11-29T08:05":       time.Date(2026, 11, 29, 8, 5, 0, 0, east),
		"2026-11-29T08:05:01Z":   time.Date(2026, 11, 29, 8, 5, 1, 0, time.UTC),
		"today":                  time.Date(2026, 11, 30, 0, 0, 0, 0, east),
		"Yesterday":              time.Date(2026, 11, 29, 0, 0, 0, 0, east),
		" yesterday  14:00":      time.Date(2026, 11, 29, 14, 0, 0, 0, east),
		"today 08:05:01":         time.Date(2026, 11, 30, 8, 5, 1, 0, east),
		"09:30":                  time.Date(2026, 11, 30, 9, 30, 0, 0, east),
		"2h ago":                 now.Add(-2 * time.Hour),
		"1d12h ago":              now.Add(-36 * time.Hour),
		"now":                    now,
		"2026-11-29T08:05:01.5Z": time.Date(2026, 11, 29, 8, 5, 1, 5e8, time.UTC),
	} {
		if got, err := replay.ParseWhen(text, now); err != nil || !got.Equal(want) {
			t.Errorf("ParseWhen(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"tomorrow", "yesterday 25:00", "yesterday noon", "ago", " ago", "-5m", "2026-13-01", "5"} {
		if got, err := replay.ParseWhen(text, now); err == nil {
			t.Errorf("ParseWhen(%q) = %v, want an error", text, got)
		}
	}
}
