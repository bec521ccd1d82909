package seed

import (
	"tillstream/events"
	"tillstream/inventory"
)

// Demo returns the items that a new shop lists: an invented assortment for house and garden. One item has a single unit left
// and one is out of stock, so that both states can be seen.
func Demo() []inventory.Listing {
	return []inventory.Listing{
		demo("MUG-HARBOUR", "Harbour Mug", 1250, 140, "A thrown stoneware mug in the grey-blue of a harbour at six in the morning. Holds 350 ml and keeps its heat through a long story.", "kitchen", "stoneware", "gift"),
		demo("BOWL-HARBOUR", "Harbour Breakfast Bowl", 1450, 90, "Deep enough for porridge, wide enough for fruit. Goes with the Harbour Mug; dishwasher safe.", "kitchen", "stoneware"),
		demo("JUG-FOLD", "Folded Milk Jug", 1800, 45, "White porcelain with a lip that was folded by hand while it was still soft. It does not drip.", "kitchen", "porcelain", "gift"),
		demo("TEAPOT-ROUND", "Round Teapot for Four", 3900, 32, "Cast iron outside, enamel inside, and a basket for loose leaves that comes out in one go.", "kitchen", "cast iron"),
		demo("TOWEL-STRIPE", "Striped Tea Towel, Set of Three", 1600, 200, "Washed linen in chalk, moss and rust. Dries glasses without a trace from the first day.", "kitchen", "linen"),
		demo("BOARD-ASH", "Ash Chopping Board", 2750, 60, "One plank of English ash, oiled, with a groove that catches what runs. 40 by 25 cm.", "kitchen", "wood"),
		demo("KNIFE-PARING", "Paring Knife", 2200, 75, "An 8 cm blade of carbon steel and a handle of pear wood. Sharpen it on the bottom of a mug.", "kitchen", "steel"),
		demo("TIN-BREAD", "Bread Tin", 3450, 28, "Enamelled steel with a bamboo lid that is a board on its other side. Takes a two-pound loaf.", "kitchen", "enamel"),
		demo("CANDLE-HEATHER", "Heather Candle", 1400, 120, "Rapeseed wax in a glass that stays in use as a tumbler. Burns for about forty hours.", "home", "light", "gift"),
		demo("LANTERN-PORCH", "Porch Lantern", 4200, 24, "Zinc and glass, with a hook for the beam and a door that stays shut in the wind.", "home", "light", "garden"),
		demo("THROW-FELL", "Fell Wool Throw", 8900, 18, "Undyed wool from hill sheep, woven in a herringbone. 140 by 190 cm, warm and a little scratchy, as it should be.", "home", "wool"),
		demo("CUSHION-MOSS", "Moss Velvet Cushion", 3200, 50, "Cotton velvet with a feather filling. The cover comes off for washing.", "home"),
		demo("CLOCK-STATION", "Station Wall Clock", 5600, 15, "Numerals that can be read across a room, and a movement that does not tick.", "home"),
		demo("BASKET-WILLOW", "Willow Log Basket", 6400, 12, "Woven from local willow by two people who have done so for thirty years. Holds an evening's logs.", "home", "willow"),
		demo("HOOKS-BRASS", "Brass Coat Hooks, Set of Five", 2450, 80, "Solid brass that darkens where hands touch it. Screws included.", "home", "brass"),
		demo("CAN-WATERING", "Long-Reach Watering Can", 3600, 35, "Galvanised, five litres, with a fine rose. Reaches the back of the bed without a step into it.", "garden"),
		demo("TROWEL-OAK", "Hand Trowel", 1950, 66, "Forged in one piece from tang to tip, with an oak handle and a leather loop.", "garden", "steel"),
		demo("TWINE-GREEN", "Garden Twine in a Tin", 850, 260, "One hundred metres of green jute. The cutter is in the lid.", "garden", "gift"),
		demo("SEEDS-MEADOW", "Meadow Seed Mix", 550, 400, "Twenty-two native flowers for ten square metres. Sow in autumn, be patient in spring.", "garden", "gift"),
		demo("POT-TERRA-3", "Terracotta Pots, Set of Three", 2100, 40, "Frost-proof, each fits into the next, saucers included.", "garden"),
		demo("NOTEBOOK-FIELD", "Field Notebook", 900, 180, "Sewn, lies flat, 96 pages of dotted paper that takes ink without a shadow.", "desk", "paper", "gift"),
		demo("PENCILS-CEDAR", "Cedar Pencils, Box of Twelve", 700, 220, "Unpainted cedar, HB, and no rubber on the end to chew on.", "desk", "gift"),
		demo("PRINT-LIGHTHOUSE", "Lighthouse Linocut", 4800, 1, "Hand-pulled from an edition of forty. This is the last of them.", "home", "paper"),
		demo("KITE-SPARROW", "Sparrow Kite", 2600, 0, "Ripstop and ash, flies in next to no wind. The next lot is being sewn.", "play", "gift"),
	}
}

func demo(sku, title string, pence, onHand int64, description string, tags ...string) inventory.Listing {
	return inventory.Listing{SKU: sku, Title: title, Description: description, Price: events.Money{Amount: pence, Currency: Currency},
		Tags: tags, OnHand: &onHand, Reason: "first start"}
}
