package console

import (
	"fmt"
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/events/worker"
)

// The audit filters, pages, and shows hostile text as text.
func TestAuditListsWhatStaffDid(t *testing.T) {
	t.Parallel()
	w := open(t)
	ops := w.Log.ForDomain("ops")
	for i := range pageSize + 2 {
		author := events.Author{Actor: "staff:mira", Reason: "because <b>" + fmt.Sprint(i), Via: "ops <i>host"}
		if err := worker.ResumeLane(t.Context(), ops, fmt.Sprintf("lane%d", i), author); err != nil {
			t.Fatal(err)
		}
	}
	if err := worker.ResumeLane(t.Context(), ops, "last", events.Author{Actor: "key:backup"}); err != nil {
		t.Fatal(err)
	}
	first := w.get("/ops/audit")
	contains(t, first, "because &lt;b&gt;51", "ops &lt;i&gt;host", "lane51 resumed", "key:backup", "no reason given", "Older")
	if strings.Contains(first, "because &lt;b&gt;1<") || strings.Contains(first, "<b>") {
		t.Error("first page: got the oldest action or markup, want neither")
	}
	next := first[strings.Index(first, `rel="next" href="`)+len(`rel="next" href="`):]
	next, _, _ = strings.Cut(next, `"`)
	contains(t, w.get(strings.ReplaceAll(next, "&amp;", "&")), "because &lt;b&gt;1<", "Newest")
	contains(t, w.get("/ops/audit?actor=backup"), "last resumed", "ops audit --actor backup")
	contains(t, w.get("/ops/audit?entity=lane7"), "lane7 resumed")
	contains(t, w.get("/ops/audit?type=orders.*"), "Nothing matches", "ops audit --type &#39;orders.*&#39;")
	for query, want := range map[string]string{"since=someday": "is not a time", "type=[": "syntax error in pattern", "before=x": "not a place"} {
		if answer, body := w.send(w.Client, "GET", "/ops/audit?"+query, nil); answer.StatusCode != 400 || !strings.Contains(body, want) {
			t.Errorf("?%s: got %s, want 400 with %q", query, answer.Status, want)
		}
	}
}

func TestShellWordsSurviveAShell(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"mira": "mira", "orders.*": "'orders.*'", "": "''", "it's": `'it'\''s'`, "a b": "'a b'", "$(rm)": "'$(rm)'"} {
		if got := shellWord(text); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", text, got, want)
		}
	}
}
