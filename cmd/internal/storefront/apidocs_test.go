package storefront_test

import (
	"strings"
	"testing"

	"tillstream/cmd/internal/storefront"
)

// sampleOpenAPI contains what generators of OpenAPI 3.1 write: references, nullable types, a schema that contains itself.
const sampleOpenAPI = `{"openapi":"3.1.0","info":{"title":"Tillstream","version":"1.0.0","description":"Buy things."},
"paths":{
 "/api/items":{"parameters":[],"get":{"summary":"Search the catalogue","tags":["Catalogue"],"parameters":[
   {"name":"q","in":"query","description":"Words to look for","schema":{"type":"string","maxLength":100}},
   {"name":"limit","in":"query","schema":{"type":"integer","format":"int64","minimum":1,"maximum":100}}],
   "responses":{"200":{"description":"OK","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Page"}}}},
    "default":{"description":"Error","content":{"application/problem+json":{"schema":{"$ref":"#/components/schemas/Problem"}}}}}}},
 "/api/orders":{"post":{"summary":"Place an order","description":"Nothing is charged yet.","tags":["Orders"],
   "requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/NewOrder"}}}},
   "responses":{"201":{"description":"Created"}}}}},
"components":{"schemas":{
 "Page":{"type":"object","properties":{"$schema":{"type":"string"},"items":{"type":["array","null"],"items":{"$ref":"#/components/schemas/Item"}}}},
 "Item":{"type":"object","required":["sku"],"properties":{"sku":{"type":"string","pattern":"^[A-Z]+$","description":"<b>Stock</b> keeping unit"},
   "related":{"type":"array","items":{"$ref":"#/components/schemas/Item"}}}},
 "NewOrder":{"type":"object","required":["email"],"properties":{"email":{"type":"string","format":"email"},
   "locale":{"type":"string","enum":["en","de"]},"lines":{"type":"array","minItems":1,"items":{"type":"object","properties":{"quantity":{"type":"integer"}}}}}},
 "Problem":{"type":"object","properties":{"title":{"type":"string"}}}}}}`

func TestDocsListParametersAndFields(t *testing.T) {
	shop := newShop(t, storefront.Config{API: newAPI(), OpenAPI: func() []byte { return []byte(sampleOpenAPI) }})
	_, body := get(t, shop, "/docs")
	for _, part := range []string{"items[].sku", "items[].related", "list of object", "string (email)", "one of en, de", "entries at least 1",
		"length at most 100", "1 to 100", "matches ^[A-Z]&#43;$", "&lt;b&gt;Stock&lt;/b&gt;", `id="post-api-orders"`, "lines[].quantity"} {
		if !strings.Contains(body, part) {
			t.Errorf("GET /docs lacks %q", part)
		}
	}
	if strings.Contains(body, "$schema") {
		t.Error("GET /docs lists $schema, which is no property")
	}
	for _, path := range []string{"/docs", "/openapi.json"} {
		if response, _ := get(t, newShop(t, storefront.Config{API: newAPI()}), path); response.StatusCode != 404 {
			t.Errorf("without a document GET %s = %d, want 404", path, response.StatusCode)
		}
	}
	broken := newShop(t, storefront.Config{API: newAPI(), OpenAPI: func() []byte { return []byte("{") }})
	if response, _ := get(t, broken, "/docs"); response.StatusCode != 503 {
		t.Errorf("with a broken document GET /docs = %d, want 503", response.StatusCode)
	}
}
