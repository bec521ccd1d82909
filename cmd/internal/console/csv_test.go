package console

import (
	"net/http"
	"strings"
	"testing"

	"tillstream/events"
)

func TestListsAreExportedWithInertCells(t *testing.T) {
	w := shopWithHistory(t)
	w.publish(events.Event{ID: "formula", Subject: events.PrefixDeadLetter + "orders.2",
		Payload: events.DeadLettered{Worker: "orders", Sequence: 2, Subject: events.PrefixOrder + "o2", Type: "orders.placed", Error: "=1+1", Fingerprint: "def456", Attempt: 1}})
	shows(t, w.get("/ops/deadletters.csv"), "number,opened,state,lane", ",abc123,", ",def456,'=1+1,")
	if body := w.get("/ops/deadletters.csv?cause=def456"); strings.Contains(body, "abc123") {
		t.Error("dead letters of one cause: got another")
	}
	shows(t, w.get("/ops/system/lanes.csv"), "lane,kind,process,position,lag,open,state", "orders.projection,", ",runs")
	shows(t, w.get("/ops/deadletters"), `href="/ops/deadletters.csv?state=open&amp;cause="`)
	if answer, _ := w.send(w.Client, "GET", "/ops/stock/nothing/csv", nil); answer.StatusCode != http.StatusNotFound {
		t.Errorf("the ledger of nothing: got %s, want 404", answer.Status)
	}
}

func TestStockIsExportedCompletely(t *testing.T) {
	g := openGoods(t)
	g.list("MUG-1", "=Harbour Mug", 24)
	g.list("CUP-1", "Cup", 0)
	shows(t, g.get("/ops/stock.csv"), "sku,title,price,on_hand,held,available", "MUG-1,'=Harbour Mug,8.50 GBP,24,0,24", "CUP-1,Cup")
	if body := g.get("/ops/stock.csv?below=1"); strings.Contains(body, "MUG-1") {
		t.Error("what is sold out: got an item that is not")
	}
	shows(t, g.get("/ops/stock/MUG-1/csv"), "number,time,what,change", ",adjusted,24,24,0,24,,first count,staff:ada,")
}
