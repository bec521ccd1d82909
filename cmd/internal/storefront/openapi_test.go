package storefront_test

// sampleOpenAPI has the shapes that a generator of 3.1 documents makes: references, nullable types, self reference.
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
