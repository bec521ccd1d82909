package sandbox

import (
	"bytes"
	"hash/fnv"

	"github.com/go-json-experiment/json"
)

// Notes are what the journal keeps beside an object's public state. Their news
// come first, and only on lines that have any: they are what memory has to
// know of the object without decoding it, so a restart reads little else.

// newsMark begins a note that has news.
var newsMark = []byte(`{"news":`)

type intentNote struct {
	News *intentFacts `json:"news,omitempty"`
	intentPrivate
}

// intentFacts are told by an intent's first line, and by later ones that
// change its metadata.
type intentFacts struct {
	Created int64    `json:"created"`
	Pairs   []uint64 `json:"pairs"` // hashes of new metadata pairs
}

// intentNews tells what memory has to learn from the intent's new state.
func intentNews(before, in *intent) *intentFacts {
	var pairs []uint64
	for key, value := range in.Metadata {
		if before != nil {
			if old, ok := before.Metadata[key]; ok && old == value {
				continue
			}
		}
		pairs = append(pairs, pairHash(key, value))
	}
	if before != nil && pairs == nil {
		return nil
	}
	return &intentFacts{Created: in.Created, Pairs: pairs}
}

func pairHash(key, value string) uint64 {
	hash := fnv.New64a()
	hash.Write([]byte(key))
	hash.Write([]byte{0})
	hash.Write([]byte(value))
	return hash.Sum64()
}

func decodeIntent(l line) (*intent, error) {
	in, err := plain[intent](l)
	if err != nil {
		return nil, err
	}
	return in, json.Unmarshal(l.note, &in.private)
}

type chargeNote struct {
	News *chargeFacts `json:"news,omitempty"`
}

// chargeFacts are told by lines that move money.
type chargeFacts struct {
	Currency string `json:"currency"`
	Funds    int64  `json:"funds"` // by how much the shop is richer
}

func chargeNews(before, ch *charge) *chargeFacts {
	funds := ch.refundable()
	if before != nil {
		funds -= before.refundable()
	}
	if funds == 0 {
		return nil
	}
	return &chargeFacts{Currency: ch.Currency, Funds: funds}
}

type refundNote struct {
	News *refundFacts `json:"news,omitempty"`
}

// refundFacts are told by every line of a refund; the first one counts.
type refundFacts struct {
	Created       int64  `json:"created"`
	Charge        string `json:"charge"`
	PaymentIntent string `json:"payment_intent"`
}

// readNews decodes the news of a line, if it has any.
func readNews[T any](l line) (*T, error) {
	if !bytes.HasPrefix(l.note, newsMark) {
		return nil, nil
	}
	var note struct {
		News *T `json:"news"`
	}
	err := json.Unmarshal(l.note, &note)
	return note.News, err
}

func (s *Server) installIntent(id string, at int64, news *intentFacts, in *intent) {
	place, _ := s.intents.put(id, at, in)
	if news != nil {
		s.intents.rows[place].created = uint32(news.Created)
		s.metadata.add(news.Pairs, place)
	}
}

func (s *Server) installCharge(id string, at int64, news *chargeFacts, ch *charge) {
	s.charges.put(id, at, ch)
	if news != nil {
		s.funds[news.Currency] += news.Funds
	}
}

func (s *Server) installRefund(id string, at int64, news *refundFacts, re *refund) {
	place, fresh := s.refunds.put(id, at, re)
	if !fresh || news == nil {
		return
	}
	s.refunds.rows[place].created = uint32(news.Created)
	s.refundsOf[news.Charge] = append(s.refundsOf[news.Charge], place)
	s.refundsOf[news.PaymentIntent] = append(s.refundsOf[news.PaymentIntent], place)
}
