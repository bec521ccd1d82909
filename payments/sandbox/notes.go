package sandbox

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
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

func decodeIntent(head lineHead, data []byte) (*intent, error) {
	in, err := plain[intent](head, data)
	if err != nil {
		return nil, err
	}
	return in, json.Unmarshal(head.Note, &in.private)
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
func readNews[T any](e entry) (*T, error) {
	if !bytes.HasPrefix(e.Note, newsMark) {
		return nil, nil
	}
	var note struct {
		News *T `json:"news"`
	}
	err := json.Unmarshal(e.Note, &note)
	return note.News, err
}

func (s *Server) installIntent(id string, line span, news *intentFacts, in *intent) {
	place, _ := s.intents.put(id, line, in)
	if news != nil {
		s.intents.rows[place].created = news.Created
		s.metadata.add(news.Pairs, place)
	}
}

func (s *Server) installCharge(id string, line span, news *chargeFacts, ch *charge) {
	s.charges.put(id, line, ch)
	if news != nil {
		s.funds[news.Currency] += news.Funds
	}
}

func (s *Server) installRefund(id string, line span, news *refundFacts, re *refund) {
	place, fresh := s.refunds.put(id, line, re)
	if !fresh || news == nil {
		return
	}
	s.refunds.rows[place].created = news.Created
	s.refundsOf[news.Charge] = append(s.refundsOf[news.Charge], place)
	s.refundsOf[news.PaymentIntent] = append(s.refundsOf[news.PaymentIntent], place)
}
