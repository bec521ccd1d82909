package api_test

import (
	"testing"

	"tillstream/events/api"
)

func TestParsePublicURLRefusesWhatNobodyCanOpen(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"https://shop.example.com": true, "http://localhost:8080": true, "http://127.0.0.1:8080/": true, "http://[2001:db8::1]:8080": true, "https://example.com/shop": true,
		"http://[::]:8080": false, "http://0.0.0.0": false, "http://:8080": false, "": false, "shop.example.com": false, "ftp://shop.example.com": false,
		"https://shop.example.com?a=b": false, "https://shop.example.com#a": false, "http://[::1": false, "javascript:alert(1)": false,
	} {
		if u, err := api.ParsePublicURL(text); (err == nil) != good {
			t.Errorf("%q: got %v, error %v, want it accepted: %t", text, u, err, good)
		}
	}
}
