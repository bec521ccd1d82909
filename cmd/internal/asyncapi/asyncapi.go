// Package asyncapi describes the shop's events for people and programs that do not read Go: an AsyncAPI 3.0 document made
// from the catalogue by reflection, with the sentences of the Go comments. The document is checked in as
// events/asyncapi.json, and a test fails when it is not what the catalogue says.
//
//go:generate go run ./gen -events ../../../events -out ../../../events/asyncapi.json
package asyncapi

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tillstream/events"
)

// object is a JSON object.
type object = map[string]any

// channel is a subject of the log and the types of events on it.
type channel struct {
	name, address, title string
	types                func(eventType string) bool
}

// channels is the topology as readers of events see it: all subjects of the shop, with parameters in braces. Each type belongs
// to exactly one: the first that takes it.
var channels = []channel{
	{"order", events.PrefixOrder + "{orderId}", "what was promised to a customer", prefix("orders.")},
	{"customer", "customers.{customerId}", "who has an account; nothing is said here yet", prefix("customers.")},
	{"item", events.PrefixItem + "{sku}", "what is for sale", prefix("inventory.item_")},
	{"stock", "inventory.stock.{location}.{sku}", "the ledger of a SKU at a location", prefix("inventory.stock_")},
	{"reservation", events.PrefixReservation + "{orderId}", "what is held for an order", prefix("inventory.reservation_")},
	{"webhooks", events.SubjectWebhooks, "events of Stripe that belong to no payment of the shop", prefix("payments.webhook_received")},
	{"payment", events.PrefixPayment + "{paymentId}", "what was taken for an order", prefix("payments.")},
	{"notification", events.PrefixNotification + "{orderId}", "what a customer was told", prefix("notifications.")},
	{"replay", events.PrefixReplay + "{replayId}", "what operators want handled again", prefix("ops.redelivery_")},
	{"lane", events.PrefixLane + "{lane}", "what operators want of a worker's lane", prefix("ops.lane_")},
	{"void", events.PrefixVoid + "{sequence}", "events that operators declared void", prefix("ops.event_voided")},
	{"deadLetter", events.PrefixDeadLetter + "{lane}.{sequence}", "what a worker could not handle", prefix("worker.")},
}

func prefix(text string) func(string) bool {
	return func(eventType string) bool { return strings.HasPrefix(eventType, text) }
}

// parameters are the names in braces of a channel's address.
func (c channel) parameters() (names []string) {
	for _, found := range parameter.FindAllStringSubmatch(c.address, -1) {
		names = append(names, found[1])
	}
	return names
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// channelOf finds the channel of a type.
func channelOf(eventType string) (channel, error) {
	for _, c := range channels {
		if c.types(eventType) {
			return c, nil
		}
	}
	return channel{}, fmt.Errorf("no channel carries %s", eventType)
}

// Document writes the AsyncAPI document. sourceDir is the folder of package events, for its comments.
func Document(sourceDir string) ([]byte, error) {
	comments, err := readComments(sourceDir)
	if err != nil {
		return nil, err
	}
	d := &document{comments: comments, channels: object{}, operations: object{}, messages: object{}, schemas: object{}}
	for _, c := range channels {
		d.open(c)
	}
	for _, def := range events.Definitions() {
		if err := d.add(def); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(d.whole(), json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return nil, fmt.Errorf("write AsyncAPI document: %w", err)
	}
	return append(data, '\n'), nil
}

// document is an AsyncAPI document in the making.
type document struct {
	comments                                map[string]string
	channels, operations, messages, schemas object
}

func (d *document) whole() object {
	return object{
		"asyncapi": "3.0.0",
		"info": object{
			"title": "Tillstream events", "version": "1.0.0",
			"description": "Every fact that the shop states, as it stands in the log: CloudEvents 1.0 in binary mode on NATS headers, with a JSON body. Only the domain that owns a subject appends to it.",
		},
		"defaultContentType": "application/json",
		"channels":           d.channels,
		"operations":         d.operations,
		"components":         object{"messages": d.messages, "schemas": d.schemas},
	}
}

// add describes one event: its message, and its place on a channel.
func (d *document) add(def events.Definition) error {
	c, err := channelOf(def.Type)
	if err != nil {
		return err
	}
	payload, err := d.schema(reflect.TypeOf(def.Zero))
	if err != nil {
		return fmt.Errorf("describe %s: %w", def.Type, err)
	}
	d.messages[def.Type] = object{
		"name": def.Type, "title": reflect.TypeOf(def.Zero).Name(), "summary": d.comments[reflect.TypeOf(def.Zero).Name()],
		"contentType": "application/json", "headers": headers(def), "payload": payload,
	}
	d.channels[c.name].(object)["messages"].(object)[def.Type] = reference("components", "messages", def.Type)
	read := d.operations["read_"+c.name].(object)
	read["messages"] = append(read["messages"].([]any), reference("channels", c.name, "messages", def.Type))
	return nil
}

// open begins a channel and the operation of reading it.
func (d *document) open(c channel) {
	described := object{"address": c.address, "title": c.title, "messages": object{}}
	parameters := object{}
	for _, name := range c.parameters() {
		parameters[name] = object{"description": "One token: letters, digits, _ and - as they are, every other byte as % and two hexadecimal digits."}
	}
	if len(parameters) > 0 {
		described["parameters"] = parameters
	}
	d.channels[c.name] = described
	d.operations["read_"+c.name] = object{"action": "receive", "channel": reference("channels", c.name), "messages": []any{}}
}

func reference(path ...string) object {
	return object{"$ref": "#/" + strings.Join(path, "/")}
}

// headers describes the envelope of an event.
func headers(def events.Definition) object {
	text := func(description string) object { return object{"type": "string", "description": description} }
	return object{
		"type": "object",
		"required": []string{events.HeaderSpecVersion, events.HeaderID, events.HeaderType, events.HeaderSource, events.HeaderTime,
			events.HeaderContentType, events.HeaderVersion, events.HeaderTopology, events.HeaderActor},
		"properties": object{
			events.HeaderSpecVersion:   object{"type": "string", "const": "1.0"},
			events.HeaderID:            text("Unique per fact, the same on every delivery."),
			events.HeaderType:          object{"type": "string", "const": def.Type},
			events.HeaderSource:        text("The program that stated it."),
			events.HeaderTime:          object{"type": "string", "format": "date-time", "description": "When it was decided, UTC."},
			events.HeaderContentType:   object{"type": "string", "const": "application/json"},
			events.HeaderTopology:      object{"type": "string", "pattern": "^[1-9][0-9]*$", "description": "Version of the streams, subjects and types that the program knew which wrote it."},
			events.HeaderActor:         text("Who brought it about: guest, key:ops, stripe or system."),
			events.HeaderVersion:       object{"type": "string", "const": fmt.Sprint(def.Version), "description": "Version of the body."},
			events.HeaderRevision:      text("Number among the events of its entity, from 1; absent for an event of no entity."),
			events.HeaderCorrelationID: text("The order that it is about, if any."),
			events.HeaderCausationID:   text("Id of the event that caused it, if any."),
			events.HeaderTraceParent:   text("W3C trace context, if any."),
		},
	}
}
