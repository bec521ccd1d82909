// Package asyncapi generates the AsyncAPI 3.0 document of the shop's events, for readers and programs that do not use Go. It
// derives schemas from the types of package events by reflection, and descriptions from their comments. The document is
// checked in as events/asyncapi.json; a test fails if it is out of date.
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

// channel is a subject of the log with its event types.
type channel struct {
	name, address, title string
	types                func(eventType string) bool
}

// channels are all subjects of the shop, with parameters in braces. An event type belongs to the first channel that accepts it.
var channels = []channel{
	{"order", events.PrefixOrder + "{orderId}", "orders of customers", prefix("orders.")},
	{"customer", "customers.{customerId}", "customer accounts; no events yet", prefix("customers.")},
	{"item", events.PrefixItem + "{sku}", "items of the catalogue", prefix("inventory.item_")},
	{"stock", "inventory.stock.{location}.{sku}", "stock ledger of a SKU at a location", prefix("inventory.stock_")},
	{"reservation", events.PrefixReservation + "{orderId}", "stock reserved for an order", prefix("inventory.reservation_")},
	{"webhooks", events.SubjectWebhooks, "Stripe events that belong to no payment of the shop", prefix("payments.webhook_received")},
	{"payment", events.PrefixPayment + "{paymentId}", "payments of an order", prefix("payments.")},
	{"notification", events.PrefixNotification + "{orderId}", "e-mails about an order", prefix("notifications.")},
	{"replay", events.PrefixReplay + "{replayId}", "redeliveries requested by operators", prefix("ops.redelivery_")},
	{"lane", events.PrefixLane + "{lane}", "pausing and resuming of a lane", prefix("ops.lane_")},
	{"staff", events.PrefixStaff + "{name}", "accounts of staff and their sessions", prefix("ops.staff_")},
	{"key", events.PrefixKey + "{name}", "API keys", prefix("ops.key_")},
	{"admins", events.PrefixAdmins + "{shop}", "who can sign in as admin", prefix("ops.admins_")},
	{"void", events.PrefixVoid + "{sequence}", "events that operators have voided", prefix("ops.event_voided")},
	{"deadLetter", events.PrefixDeadLetter + "{lane}.{sequence}", "events that a lane could not handle", prefix("worker.")},
}

func prefix(text string) func(string) bool {
	return func(eventType string) bool { return strings.HasPrefix(eventType, text) }
}

// parameters returns the names in braces of the address.
func (c channel) parameters() (names []string) {
	for _, found := range parameter.FindAllStringSubmatch(c.address, -1) {
		names = append(names, found[1])
	}
	return names
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// channelOf returns the channel of an event type.
func channelOf(eventType string) (channel, error) {
	for _, c := range channels {
		if c.types(eventType) {
			return c, nil
		}
	}
	return channel{}, fmt.Errorf("no channel accepts %s", eventType)
}

// Document returns the AsyncAPI document. sourceDir is the directory of package events, whose comments it reads.
func Document(sourceDir string) ([]byte, error) {
	comments, err := readComments(sourceDir)
	if err != nil {
		return nil, err
	}
	d := &document{comments: comments, channels: object{}, operations: object{}, messages: object{}, schemas: object{}}
	for _, c := range channels {
		d.addChannel(c)
	}
	for _, def := range events.Definitions() {
		if err := d.addMessage(def); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(d.assemble(), json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return nil, fmt.Errorf("encode AsyncAPI document: %w", err)
	}
	return append(data, '\n'), nil
}

// document is an AsyncAPI document that is being generated.
type document struct {
	comments                                map[string]string
	channels, operations, messages, schemas object
}

// assemble returns the document.
func (d *document) assemble() object {
	return object{
		"asyncapi": "3.0.0",
		"info": object{
			"title": "Tillstream events", "version": "1.0.0",
			"description": "All events of the shop, as stored in the log: CloudEvents 1.0 in binary mode with NATS headers and a JSON body. Only the domain that owns a subject appends to it.",
		},
		"defaultContentType": "application/json",
		"channels":           d.channels,
		"operations":         d.operations,
		"components":         object{"messages": d.messages, "schemas": d.schemas},
	}
}

// addMessage adds the message of one event type to its channel.
func (d *document) addMessage(def events.Definition) error {
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

// addChannel adds a channel without messages, and the operation that reads it.
func (d *document) addChannel(c channel) {
	described := object{"address": c.address, "title": c.title, "messages": object{}}
	parameters := object{}
	for _, name := range c.parameters() {
		parameters[name] = object{"description": "One subject token: letters, digits, _ and - unchanged, every other byte as % and two hexadecimal digits."}
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

// headers returns the schema of an event's headers.
func headers(def events.Definition) object {
	text := func(description string) object { return object{"type": "string", "description": description} }
	return object{
		"type": "object",
		"required": []string{events.HeaderSpecVersion, events.HeaderID, events.HeaderType, events.HeaderSource, events.HeaderTime,
			events.HeaderContentType, events.HeaderVersion, events.HeaderTopology, events.HeaderActor},
		"properties": object{
			events.HeaderSpecVersion:   object{"type": "string", "const": "1.0"},
			events.HeaderID:            text("Unique per event, the same on every delivery."),
			events.HeaderType:          object{"type": "string", "const": def.Type},
			events.HeaderSource:        text("Program that appended the event."),
			events.HeaderTime:          object{"type": "string", "format": "date-time", "description": "When the event was decided, UTC."},
			events.HeaderContentType:   object{"type": "string", "const": "application/json"},
			events.HeaderTopology:      object{"type": "string", "pattern": "^[1-9][0-9]*$", "description": "Topology version of the program that appended the event: its streams, subjects and types."},
			events.HeaderActor:         text("Who caused the event: guest, stripe, system, staff:NAME or key:NAME."),
			events.HeaderReason:        text("Why, in the words of the member of staff who caused it, if any."),
			events.HeaderVia:           text("From where staff caused it, such as ops HOST, if any."),
			events.HeaderVersion:       object{"type": "string", "const": fmt.Sprint(def.Version), "description": "Version of the body."},
			events.HeaderRevision:      text("Number among the events of its entity, from 1; absent if it has no entity."),
			events.HeaderCorrelationID: text("Order that the event is about, if any."),
			events.HeaderCausationID:   text("Id of the event that caused it, if any."),
			events.HeaderTraceParent:   text("W3C trace context, if any."),
		},
	}
}
