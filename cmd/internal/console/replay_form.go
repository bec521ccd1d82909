package console

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

// replayForm is the selection of a replay as it was typed.
type replayForm struct {
	Order, Since, Until, Sequences, Max, Rate string
	Lanes, Types                              []string
	Force                                     bool
}

func formOf(values url.Values) replayForm {
	text := func(name string) string { return strings.TrimSpace(values.Get(name)) }
	chosen := func(name string) []string {
		return slices.DeleteFunc(slices.Clone(values[name]), func(v string) bool { return v == "" })
	}
	f := replayForm{Order: text("order"), Since: text("since"), Until: text("until"), Sequences: text("sequences"), Max: text("max"), Rate: text("rate"),
		Lanes: chosen("lane"), Types: chosen("type"), Force: text("force") != ""}
	if one := text("sequence"); one != "" && f.Sequences == "" { // a link from the page of an event
		f.Sequences = one
	}
	return f
}

// Chosen reports whether a lane or a type is selected.
func (f replayForm) Chosen(value string) bool {
	return slices.Contains(f.Lanes, value) || slices.Contains(f.Types, value)
}

// formField is a hidden field.
type formField struct{ Name, Value string }

// Fields are the fields of the form, for hidden inputs.
func (f replayForm) Fields() (fields []formField) {
	query := f.query()
	for _, name := range []string{"order", "lane", "type", "since", "until", "sequences", "max", "rate", "force"} {
		for _, value := range query[name] {
			fields = append(fields, formField{name, value})
		}
	}
	return fields
}

// pinned is the form for the events of a plan: those that were appended or have grown older since are neither added nor lost.
func (f replayForm) pinned(selection events.ReplaySelection) replayForm {
	f.Since, f.Until, f.Sequences = "", "", fmt.Sprintf("%d-%d", selection.From, selection.To)
	return f
}

// query is the form as fields of an address.
func (f replayForm) query() url.Values {
	values := url.Values{}
	for name, value := range map[string]string{"order": f.Order, "since": f.Since, "until": f.Until, "sequences": f.Sequences, "max": f.Max, "rate": f.Rate} {
		if value != "" {
			values.Set(name, value)
		}
	}
	for name, list := range map[string][]string{"lane": f.Lanes, "type": f.Types} {
		for _, value := range list {
			values.Add(name, value)
		}
	}
	if f.Force {
		values.Set("force", "yes")
	}
	return values
}

// options reads the form, or returns errInvalid with what is wrong.
func (f replayForm) options(now time.Time) (o replay.ReplayOptions, err error) {
	o = replay.ReplayOptions{Order: f.Order, Lanes: f.Lanes, Types: f.Types, Force: f.Force}
	if o.Since, err = replay.ParseWhen(f.Since, now); err != nil {
		return o, fmt.Errorf("%w: since: %w", errInvalid, err)
	}
	if o.Until, err = replay.ParseWhen(f.Until, now); err != nil {
		return o, fmt.Errorf("%w: until: %w", errInvalid, err)
	}
	first, last, ranged := strings.Cut(strings.ReplaceAll(f.Sequences, "–", "-"), "-")
	if !ranged {
		last = first
	}
	var most, rate uint64
	for _, n := range []struct {
		name, text string
		to         *uint64
	}{{"sequences", first, &o.From}, {"sequences", last, &o.To}, {"most events", f.Max, &most}, {"rate", f.Rate, &rate}} {
		if *n.to, err = positive(n.name, n.text); err != nil {
			return o, err
		}
	}
	o.Max, o.Rate = int(most), int(rate)
	return o, nil
}

// positive reads a positive number; "" is 0.
func positive(name, text string) (uint64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%w: %s: %.40q is not a positive number", errInvalid, name, text)
	}
	return n, nil
}

// command is the ops command with the same selection.
func (f replayForm) command() string {
	command := "ops redeliver"
	flag := func(name string, values ...string) {
		for _, value := range values {
			if value != "" {
				command += " --" + name + " " + shellWord(value)
			}
		}
	}
	flag("to", f.Lanes...)
	flag("type", f.Types...)
	flag("order", f.Order)
	flag("since", f.Since)
	flag("until", f.Until)
	flag("seq", f.Sequences)
	flag("max", f.Max)
	flag("rate", f.Rate)
	if f.Force {
		command += " --force"
	}
	return command
}
