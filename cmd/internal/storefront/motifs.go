package storefront

// motifs are the drawings of things, each with the words that select it. The first match wins, so specific words come
// first. Every drawing stands on the table, whose edge is at y = 318.
var motifs = []struct {
	names   []string
	drawing string
}{
	{[]string{"teapot", "kettle"}, `<path d="M292 190c44-14 52 40 8 62" fill="none" stroke="{main}" stroke-width="14"/>
<path d="M118 216c-34-2-38-34-62-40 0 40 26 74 66 84z" fill="{main}"/>
<ellipse cx="205" cy="236" rx="98" ry="82" fill="{main}"/><path d="M132 182c30-34 116-34 146 0z" fill="{second}"/>
<circle cx="205" cy="146" r="13" fill="{line}"/><path d="M130 262c40 34 110 34 150 0" fill="none" stroke="{second}" stroke-width="8"/>`},
	{[]string{"mug", "cup", "espresso", "coffee"}, `<path d="M262 190c62-8 62 84-6 82" fill="none" stroke="{main}" stroke-width="18"/>
<path d="M120 150h150v120a48 48 0 0 1-48 48h-54a48 48 0 0 1-48-48z" fill="{main}"/>
<ellipse cx="195" cy="150" rx="75" ry="15" fill="{line}"/><path d="M120 212h150v34H120z" fill="{second}"/>
<path d="M172 116c-14-18 14-26 0-48m44 48c-14-18 14-26 0-48" fill="none" stroke="{line}" stroke-width="7" stroke-linecap="round" opacity=".35"/>`},
	{[]string{"bottle", "flask", "carafe", "jug", "pitcher", "vinegar", "oil", "gin", "syrup"}, `<path d="M178 84h44v62c0 20 34 30 34 66v84a22 22 0 0 1-22 22h-68a22 22 0 0 1-22-22v-84c0-36 34-46 34-66z" fill="{main}"/>
<rect x="172" y="66" width="56" height="26" rx="6" fill="{line}"/><rect x="144" y="220" width="112" height="64" fill="{sun}"/>
<path d="M166 242h68m-54 20h40" stroke="{second}" stroke-width="8" stroke-linecap="round"/>`},
	{[]string{"lantern", "lamp", "light", "lighting", "shade"}, `<path d="M200 318V190" stroke="{line}" stroke-width="12"/><ellipse cx="200" cy="312" rx="62" ry="12" fill="{line}"/>
<path d="M150 84h100l46 116H104z" fill="{main}"/><path d="M120 160h160l16 40H104z" fill="{second}"/>
<path d="M262 200v44" stroke="{line}" stroke-width="4"/><circle cx="262" cy="250" r="8" fill="{second}"/>`},
	{[]string{"candle", "holder", "candlestick", "incense"}, `<path d="M166 168h68v128h-68z" fill="{main}"/><path d="M166 168h68v26c-12 20-22-8-34 12s-24 6-34-10z" fill="{sun}"/>
<path d="M200 84c34 34 26 70 0 70s-34-36 0-70z" fill="{second}"/><path d="M200 112c14 18 10 34 0 34s-14-16 0-34z" fill="{main}"/>
<path d="M200 152v18" stroke="{line}" stroke-width="5"/><path d="M130 286h140l-18 32H148z" fill="{line}"/>`},
	{[]string{"clock", "watch", "timer"}, `<path d="M140 292l-18 26m138-26l18 26" stroke="{line}" stroke-width="12" stroke-linecap="round"/>
<circle cx="200" cy="204" r="106" fill="{main}"/><circle cx="200" cy="204" r="84" fill="{sun}"/>
<path d="M200 144v60l40 26" fill="none" stroke="{line}" stroke-width="9" stroke-linecap="round" stroke-linejoin="round"/>
<path d="M200 130v10m0 128v10m74-74h-10m-128 0h-10" stroke="{second}" stroke-width="8" stroke-linecap="round"/>`},
	{[]string{"plant", "pot", "vase", "flower", "planter", "garden", "rose", "herb", "fern", "botanical"}, `<path d="M200 236C190 150 120 150 104 96c62-6 98 34 98 96" fill="{main}"/><path d="M200 236c6-92 66-84 96-130-64-20-106 28-100 104" fill="{main}" opacity=".82"/>
<path d="M200 236c-8-80-10-120 6-170 32 46 22 96-2 160" fill="{main}" opacity=".9"/><path d="M140 222h120l-18 96h-84z" fill="{second}"/><path d="M132 214h136v26H132z" fill="{line}"/>`},
	{[]string{"cushion", "pillow", "doorstop"}, `<path d="M106 128c50 16 138 16 188 0 14 60 14 120 0 186-60-12-128-12-188 0-14-66-14-126 0-186z" fill="{main}"/>
<path d="M128 152c44 12 100 12 144 0m-144 138c44-8 100-8 144 0" fill="none" stroke="{second}" stroke-width="8"/>
<path d="M200 178l38 42-38 42-38-42z" fill="{second}"/><circle cx="200" cy="220" r="10" fill="{line}"/>`},
	{[]string{"blanket", "throw", "towel", "rug", "linen", "scarf", "quilt", "tablecloth", "textile", "napkin"}, `<rect x="96" y="262" width="208" height="56" rx="26" fill="{main}"/><rect x="108" y="208" width="190" height="58" rx="26" fill="{second}"/>
<rect x="98" y="152" width="204" height="60" rx="28" fill="{main}"/><path d="M112 182h178M112 292h180" stroke="{sun}" stroke-width="6" stroke-dasharray="18 12"/>
<path d="M122 236h164" stroke="{line}" stroke-width="5" stroke-dasharray="6 10" opacity=".6"/>`},
	{[]string{"bag", "tote", "rucksack", "backpack", "shopper", "jumbo", "lunch"}, `<path d="M152 160c0-94 96-94 96 0" fill="none" stroke="{line}" stroke-width="12"/><path d="M112 150h176l18 168H94z" fill="{main}"/>
<path d="M103 236h194l4 40H99z" fill="{second}"/><circle cx="152" cy="174" r="7" fill="{line}"/><circle cx="248" cy="174" r="7" fill="{line}"/>`},
	{[]string{"book", "notebook", "journal", "diary", "notepad", "planner", "card", "paper", "pencil", "stationery"}, `<path d="M122 92h150a16 16 0 0 1 16 16v194a16 16 0 0 1-16 16H122z" fill="{main}"/><path d="M112 92h34v226h-34a12 12 0 0 1-12-12V104a12 12 0 0 1 12-12z" fill="{line}"/>
<rect x="172" y="132" width="88" height="56" rx="4" fill="{sun}"/><path d="M188 152h56m-56 18h36" stroke="{line}" stroke-width="6" stroke-linecap="round"/>
<path d="M236 92h22v90l-11-12-11 12z" fill="{second}"/>`},
	{[]string{"bowl", "plate", "dish", "tray", "ceramic", "cake", "cakestand", "baking", "serving"}, `<path d="M92 198h216c0 66-40 104-78 104h-60c-38 0-78-38-78-104z" fill="{main}"/><ellipse cx="200" cy="198" rx="108" ry="22" fill="{second}"/>
<circle cx="166" cy="182" r="34" fill="{line}" opacity=".75"/><circle cx="222" cy="172" r="40" fill="{main}"/><circle cx="258" cy="190" r="24" fill="{sun}"/>
<path d="M94 212c12 14 200 14 212 0-2 24-30 34-106 34s-104-10-106-34z" fill="{main}"/><path d="M160 302h80v16h-80z" fill="{line}"/>`},
	{[]string{"knife", "spoon", "cutlery", "board", "kitchen", "spatula", "whisk", "apron", "fork"}, `<rect x="112" y="92" width="130" height="226" rx="26" fill="{main}"/><circle cx="177" cy="122" r="12" fill="{wall}"/>
<path d="M134 190c30-16 60 10 86-8m-86 54c30-16 60 10 86-8" fill="none" stroke="{line}" stroke-width="4" opacity=".35"/>
<path d="M280 318V190" stroke="{line}" stroke-width="14" stroke-linecap="round"/><ellipse cx="280" cy="144" rx="30" ry="52" fill="{second}"/>`},
	{[]string{"shirt", "apparel", "jumper", "sweater", "cardigan", "hoodie"}, `<path d="M146 96l-72 44 28 62 34-16v132h128V186l34 16 28-62-72-44c-20 26-88 26-108 0z" fill="{main}"/>
<path d="M146 96c20 26 88 26 108 0l-14-8c-14 18-66 18-80 0z" fill="{line}"/><path d="M136 232h128v30H136z" fill="{second}"/>`},
	{[]string{"umbrella", "parasol", "raincoat"}, `<path d="M200 90v200c0 36-46 36-46 4" fill="none" stroke="{line}" stroke-width="10" stroke-linecap="round"/><path d="M76 214c0-164 248-164 248 0-22-22-60-22-82 0-22-22-62-22-84 0-22-22-60-22-82 0z" fill="{main}"/>
<path d="M158 214c0-84 84-84 84 0-22-22-62-22-84 0z" fill="{second}"/>`},
	{[]string{"frame", "print", "linocut", "poster", "picture", "sign", "art", "mirror", "map"}, `<rect x="104" y="72" width="192" height="240" rx="6" fill="{line}"/><rect x="120" y="88" width="160" height="208" fill="{sun}"/>
<circle cx="232" cy="146" r="26" fill="{second}"/><path d="M120 262l52-84 46 58 22-26 40 52v34H120z" fill="{main}"/>`},
	{[]string{"soap", "lotion", "bath", "shampoo", "balm", "wash"}, `<rect x="140" y="158" width="120" height="160" rx="22" fill="{main}"/><path d="M180 158v-36h40v36z" fill="{line}"/><path d="M196 122V98h-52v18" fill="none" stroke="{line}" stroke-width="14"/>
<rect x="158" y="204" width="84" height="72" rx="6" fill="{sun}"/><path d="M176 230h48m-38 20h28" stroke="{second}" stroke-width="7" stroke-linecap="round"/>`},
	{[]string{"toy", "block", "puzzle", "game", "children", "doll", "babushka", "kid", "wooden"}, `<rect x="96" y="218" width="100" height="100" rx="10" fill="{main}"/><rect x="204" y="218" width="100" height="100" rx="10" fill="{second}"/><path d="M200 92l62 118H138z" fill="{line}" opacity=".85"/>
<circle cx="146" cy="268" r="26" fill="{sun}"/><path d="M254 240l28 56h-56z" fill="{sun}"/>`},
	{[]string{"heart", "love", "valentine"}, `<path d="M200 300C70 216 92 112 156 112c26 0 40 18 44 34 4-16 18-34 44-34 64 0 86 104-44 188z" fill="{main}"/>
<path d="M200 256c-66-46-56-100-26-100 14 0 22 10 26 20 4-10 12-20 26-20 30 0 40 54-26 100z" fill="{second}"/><path d="M200 146V40" stroke="{line}" stroke-width="4"/>`},
	{[]string{"box", "tin", "jar", "storage", "basket", "drawer", "crate"}, `<rect x="104" y="172" width="192" height="146" rx="10" fill="{main}"/><path d="M92 132h216v52H92z" fill="{line}"/>
<path d="M182 132h36v186h-36z" fill="{second}"/><path d="M200 132c-60-10-70-64-34-62 26 2 34 40 34 62 0-22 8-60 34-62 36-2 26 52-34 62z" fill="{second}"/>`},
}

// arrangements are for items that no motif matches.
var arrangements = []string{
	`<rect x="108" y="188" width="84" height="130" rx="42" fill="{main}"/><circle cx="244" cy="262" r="56" fill="{second}"/><path d="M176 92h92l-46 80z" fill="{line}" opacity=".8"/>`,
	`<path d="M100 318a100 100 0 0 1 200 0z" fill="{main}"/><circle cx="200" cy="164" r="54" fill="{second}"/><path d="M146 318a54 54 0 0 1 108 0z" fill="{line}" opacity=".8"/>`,
	`<rect x="110" y="228" width="180" height="90" rx="12" fill="{main}"/><rect x="138" y="146" width="124" height="82" rx="12" fill="{second}"/><circle cx="200" cy="108" r="38" fill="{line}" opacity=".85"/>`,
	`<path d="M200 78l92 240H108z" fill="{main}"/><path d="M200 78l92 240h-92z" fill="{line}" opacity=".35"/><circle cx="286" cy="276" r="42" fill="{second}"/>`,
}
