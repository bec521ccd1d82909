package api

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// ErrBadCursor is returned for a paging cursor that no page has handed out.
var ErrBadCursor = errors.New("bad cursor")

// EncodeCursor returns the cursor of the page that follows the row with a key. Clients send it back as it is.
func EncodeCursor(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// DecodeCursor returns what parse makes of a cursor's key. It returns [ErrBadCursor] for a cursor that is not encoded as
// [EncodeCursor] does, or whose key parse refuses.
func DecodeCursor[K any](cursor string, parse func(key string) (K, error)) (K, error) {
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	var key K
	if err == nil {
		key, err = parse(string(data))
	}
	if err != nil {
		return key, fmt.Errorf("%w: %.80q", ErrBadCursor, cursor)
	}
	return key, nil
}
