package project

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// registry encodes as the driver does by itself, but the keys of a map in order: the same state is the same bytes then,
// which is how a rebuild tells what has drifted.
func registry() *bson.Registry {
	r := bson.NewRegistry()
	r.RegisterKindEncoder(reflect.Map, bson.ValueEncoderFunc(encodeMap))
	return r
}

func encodeMap(c bson.EncodeContext, w bson.ValueWriter, v reflect.Value) error {
	if v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("encode %s: its keys are no strings", v.Type())
	}
	if v.IsNil() {
		return w.WriteNull()
	}
	document, err := w.WriteDocument()
	if err != nil {
		return err
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		if a.String() < b.String() {
			return -1
		}
		return 1 // no two are equal
	})
	for _, key := range keys {
		element, err := document.WriteDocumentElement(key.String())
		if err != nil {
			return err
		}
		if err := encodeValue(c, element, v.MapIndex(key)); err != nil {
			return fmt.Errorf("encode %s: %w", key.String(), err)
		}
	}
	return document.WriteDocumentEnd()
}

func encodeValue(c bson.EncodeContext, w bson.ValueWriter, v reflect.Value) error {
	if v.Kind() == reflect.Interface {
		if v.IsNil() {
			return w.WriteNull()
		}
		v = v.Elem()
	}
	encoder, err := c.LookupEncoder(v.Type())
	if err != nil {
		return err
	}
	return encoder.EncodeValue(c, w, v)
}

// encode returns the bytes of a document as the driver sends them.
func encode(d Document) (bson.Raw, error) {
	var buffer bytes.Buffer
	encoder := bson.NewEncoder(bson.NewDocumentWriter(&buffer))
	encoder.SetRegistry(registry())
	encoder.UseJSONStructTags()
	encoder.NilSliceAsEmpty()
	if err := encoder.Encode(d); err != nil {
		return nil, fmt.Errorf("encode %s: %w", d.ID, err)
	}
	return buffer.Bytes(), nil
}
