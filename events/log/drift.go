package log

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// defaults are the values that the broker sets for fields that a configuration leaves out.
var defaults = map[string]string{
	"max_consumers": "-1", "max_msgs": "-1", "max_bytes": "-1", "max_msg_size": "-1", "max_msgs_per_subject": "-1", "duplicate_window": "120000000000",
	"num_replicas": "1", "compression": `"none"`, "ack_wait": "30000000000", "max_deliver": "-1", "replay_policy": `"instant"`,
	"max_waiting": "512", "max_ack_pending": "1000", "deliver_policy": `"all"`, "ack_policy": `"none"`,
}

// Drift compares a wanted configuration with the actual one, field by field of their JSON forms, and returns the differences
// in words, "" when there are none. A field that is left out has its default value. Fields in ignore are not compared.
func Drift(wanted, actual any, ignore ...string) string {
	want, have := fields(wanted), fields(actual)
	keys := maps.Clone(want)
	maps.Copy(keys, have)
	var differences []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		w, h := withDefault(key, want[key]), withDefault(key, have[key])
		if w != h && !slices.Contains(ignore, key) {
			differences = append(differences, fmt.Sprintf("%s is %s, want %s", key, h, w))
		}
	}
	return strings.Join(differences, "; ")
}

func withDefault(key, value string) string {
	empty := value == "" || value == "0" || value == "false" || value == "null" || value == "{}"
	if d, ok := defaults[key]; ok && empty {
		return d
	}
	if empty {
		return "unset"
	}
	return value
}

func fields(config any) map[string]string {
	data, err := json.Marshal(config)
	if err != nil {
		return map[string]string{"error": err.Error()}
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return map[string]string{"error": err.Error()}
	}
	out := make(map[string]string, len(raw))
	for k, v := range raw {
		out[k] = string(v)
	}
	return out
}
