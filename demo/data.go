package demo

// Store is a shop of the sample API.
type Store struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	City    string `json:"city"`
	Country string `json:"country"` // ISO 3166-1 alpha-2
	brands  []int
}

// Brand is a maker of products.
type Brand struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

// Category groups products.
type Category struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

// Product is something that a store sells.
type Product struct {
	ID         int    `json:"id"`
	StoreID    int    `json:"store_id"`
	BrandID    int    `json:"brand_id"`
	CategoryID int    `json:"category_id"`
	Name       string `json:"name"`
	PriceCents int    `json:"price_cents"`
	Currency   string `json:"currency"` // ISO 4217
	Stock      int    `json:"stock"`
}

func sampleStores() []Store {
	return []Store{
		{1, "Meadow & Hive", "Tallinn", "EE", []int{1, 2, 4}},
		{2, "Harbour Outfitters", "Lisbon", "PT", []int{2, 3, 5}},
		{3, "Lantern Books & Paper", "Utrecht", "NL", []int{4, 6}},
	}
}

func sampleBrands() []Brand {
	return []Brand{
		{1, "Apis Works"}, {2, "Northfield"}, {3, "Saltmark"}, {4, "Ember & Oak"}, {5, "Kestrel"}, {6, "Paper Birch"},
	}
}

func sampleCategories() []Category {
	return []Category{
		{1, "Beekeeping"}, {2, "Outdoor"}, {3, "Clothing"}, {4, "Kitchen"}, {5, "Stationery"},
	}
}

func sampleProducts() []Product {
	return []Product{
		{1, 1, 1, 1, "Langstroth hive, 10 frames", 18900, "EUR", 12},
		{2, 1, 1, 1, "Bee smoker, stainless steel", 3490, "EUR", 48},
		{3, 1, 1, 1, "Hive tool, 25 cm", 1250, "EUR", 120},
		{4, 1, 1, 1, "Entrance observer mount", 2790, "EUR", 31},
		{5, 1, 1, 1, "Queen excluder", 990, "EUR", 75},
		{6, 1, 2, 3, "Ventilated bee jacket, M", 8900, "EUR", 9},
		{7, 1, 2, 3, "Goatskin gloves, L", 2450, "EUR", 27},
		{8, 1, 4, 4, "Honey jar 500 g, set of 12", 1490, "EUR", 64},
		{9, 1, 4, 4, "Beeswax wraps, 3 sizes", 1790, "EUR", 40},
		{10, 2, 2, 2, "Trekking pole, carbon", 7900, "EUR", 18},
		{11, 2, 2, 3, "Merino base layer, M", 6900, "EUR", 22},
		{12, 2, 3, 2, "Dry bag 20 l", 2490, "EUR", 55},
		{13, 2, 3, 2, "Deck lantern, rechargeable", 4590, "EUR", 14},
		{14, 2, 3, 3, "Oilskin hat", 3990, "EUR", 33},
		{15, 2, 3, 3, "Rain jacket, S", 12900, "EUR", 7},
		{16, 2, 5, 2, "Two-person tent", 24900, "EUR", 5},
		{17, 2, 5, 2, "Camp stove, titanium", 5490, "EUR", 16},
		{18, 2, 5, 4, "Enamel mug 350 ml", 1190, "EUR", 90},
		{19, 3, 4, 4, "Olive wood spoon", 1390, "EUR", 25},
		{20, 3, 4, 5, "Brass letter opener", 1990, "EUR", 11},
		{21, 3, 6, 5, "Dotted notebook A5", 1290, "EUR", 140},
		{22, 3, 6, 5, "Fountain pen, fine nib", 4900, "EUR", 19},
		{23, 3, 6, 5, "Letter paper, 50 sheets", 1590, "EUR", 60},
		{24, 3, 6, 5, "Ink, iron gall, 50 ml", 1150, "EUR", 42},
	}
}
