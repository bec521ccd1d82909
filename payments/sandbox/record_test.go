package sandbox

import (
	"encoding/json"
	"testing"
)

func TestLinesKeepWhatTheyAreGiven(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"pi_1", `quote"d`, `back\slash\\`, `ends with \`, `,"data":{`, `,"note":{"news":`, "Ünï\ncode", ""} {
		head := lineHead{Kind: lineAnswer, ID: id, Note: json.RawMessage(`{"a":"b"}`)}
		const data = `{"x":",\"data\":"}`
		raw, body, err := appendLine([]byte("before\n"), head, []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		l, err := parseLine(raw[len("before\n"):])
		if err != nil {
			t.Fatalf("id %q: %v", id, err)
		}
		if l.kind != head.Kind || string(l.id) != id || string(l.note) != string(head.Note) || string(l.data) != data {
			t.Errorf("id %q came back as %s %s %s %s", id, l.kind, l.id, l.note, l.data)
		}
		if part, err := record(raw).part(body.at, body.size); err != nil || string(part) != data {
			t.Errorf("id %q has its data at %v: %s %v", id, body, part, err)
		}
	}
	for _, line := range []string{"\n", "}\n", "{\"kind\":}\n", "{\"kind\":\"x}\n", "{\"kind\":\"x\\\"}\n", `{"kind":"x"}`} {
		if _, err := parseLine([]byte(line)); err == nil {
			t.Errorf("line %q was taken", line)
		}
	}
}
