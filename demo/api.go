// Package demo holds what `latchward demo` shows: a sample store API to stand behind the gateway, the tokens that
// Latchward's documents speak of, and a little traffic.
package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the sample API.
const (
	maxBody    = 64 << 10 // bytes of a JSON body
	maxRecords = 1_000    // orders, and readings, kept in memory
	maxPage    = 100
)

// identityPrefix starts the name of every header by which a gateway tells an upstream who calls. An upstream knows it
// from the documentation, not from this module.
const identityPrefix = "X-Latchward-"

// Order is what POST /api/orders takes and gives back.
type Order struct {
	ID        int       `json:"id"`
	ProductID int       `json:"product_id"`
	Quantity  int       `json:"quantity"`
	CreatedAt time.Time `json:"created_at"`
}

// Reading is one measurement of a device, as POST /api/metrics takes it.
type Reading struct {
	Device string    `json:"device"`
	Metric string    `json:"metric"`
	Value  float64   `json:"value"`
	At     time.Time `json:"at"` // zero = when it arrived
}

// api is the state of one sample API: fixed goods, and the latest orders and readings.
type api struct {
	stores     []Store
	brands     []Brand
	categories []Category
	products   []Product

	ordered  atomic.Int64 // the id of the last order
	orders   latest[Order]
	readings latest[Reading]
}

// API returns a sample store API under /api: products, stores, brands, categories, orders, device metrics, uploads, a
// stream of events, and whoami, which shows the identity headers that it was called with. It checks no credentials:
// that is the job of whatever stands before it. It keeps its state in memory, each call of API its own.
func API() http.Handler {
	a := &api{
		stores: sampleStores(), brands: sampleBrands(), categories: sampleCategories(), products: sampleProducts(),
	}
	mux := http.NewServeMux()
	for pattern, handler := range a.routes() {
		mux.HandleFunc(pattern, handler)
	}
	return mux
}

func (a *api) routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /api/products":             a.listProducts,
		"GET /api/products/{id}":        a.getProduct,
		"GET /api/products/meta/brands": always("brands", a.brands),
		"GET /api/stores":               always("stores", a.stores),
		"GET /api/stores/{id}":          a.getStore,
		"GET /api/stores/{id}/brands":   a.storeBrands,
		"GET /api/categories":           always("categories", a.categories),
		"GET /api/orders":               a.listOrders,
		"POST /api/orders":              a.addOrder,
		"GET /api/metrics":              a.listReadings,
		"POST /api/metrics":             a.addReading,
		"POST /api/uploads":             upload,
		"GET /api/events":               events,
		"GET /api/whoami":               whoami,
		"/":                             func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, "Not found") },
	}
}

// always answers with the same list.
func always(name string, list any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, map[string]any{name: list}) }
}

func (a *api) listProducts(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	numbers := map[string]int{"store_id": 0, "brand_id": 0, "category_id": 0, "limit": 20, "offset": 0}
	for name := range numbers {
		text := query.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			refuse(w, http.StatusBadRequest, name+" must be a whole number")
			return
		}
		numbers[name] = n
	}
	is := func(name string, value int) bool { return numbers[name] == 0 || numbers[name] == value }
	text := strings.ToLower(query.Get("q"))
	found := slices.DeleteFunc(slices.Clone(a.products), func(p Product) bool {
		return !is("store_id", p.StoreID) || !is("brand_id", p.BrandID) || !is("category_id", p.CategoryID) ||
			!strings.Contains(strings.ToLower(p.Name), text)
	})
	limit, offset := min(numbers["limit"], maxPage), min(numbers["offset"], len(found))
	reply(w, 200, map[string]any{
		"products": found[offset:min(offset+limit, len(found))], "total": len(found), "limit": limit, "offset": offset,
	})
}

func (a *api) getProduct(w http.ResponseWriter, r *http.Request) {
	i := slices.IndexFunc(a.products, func(p Product) bool { return strconv.Itoa(p.ID) == r.PathValue("id") })
	if i < 0 {
		refuse(w, http.StatusNotFound, "Product not found")
		return
	}
	reply(w, 200, map[string]any{"product": a.products[i]})
}

func (a *api) store(id string) (Store, bool) {
	i := slices.IndexFunc(a.stores, func(s Store) bool { return strconv.Itoa(s.ID) == id })
	if i < 0 {
		return Store{}, false
	}
	return a.stores[i], true
}

func (a *api) getStore(w http.ResponseWriter, r *http.Request) {
	store, ok := a.store(r.PathValue("id"))
	if !ok {
		refuse(w, http.StatusNotFound, "Store not found")
		return
	}
	reply(w, 200, map[string]any{"store": store})
}

func (a *api) storeBrands(w http.ResponseWriter, r *http.Request) {
	store, ok := a.store(r.PathValue("id"))
	if !ok {
		refuse(w, http.StatusNotFound, "Store not found")
		return
	}
	brands := slices.DeleteFunc(slices.Clone(a.brands), func(b Brand) bool { return !slices.Contains(store.brands, b.ID) })
	reply(w, 200, map[string]any{"brands": brands})
}

func (a *api) listOrders(w http.ResponseWriter, _ *http.Request) {
	reply(w, 200, map[string]any{"orders": a.orders.all()})
}

func (a *api) addOrder(w http.ResponseWriter, r *http.Request) {
	var order Order
	if !read(w, r, &order) {
		return
	}
	known := slices.ContainsFunc(a.products, func(p Product) bool { return p.ID == order.ProductID })
	if !known || order.Quantity < 1 || order.Quantity > 1000 {
		refuse(w, http.StatusBadRequest, "product_id must name a product, and quantity be from 1 to 1000")
		return
	}
	order.ID, order.CreatedAt = int(a.ordered.Add(1)), time.Now().UTC().Truncate(time.Millisecond)
	a.orders.add(order)
	reply(w, http.StatusCreated, map[string]any{"order": order})
}

func (a *api) listReadings(w http.ResponseWriter, _ *http.Request) {
	reply(w, 200, map[string]any{"readings": a.readings.all()})
}

func (a *api) addReading(w http.ResponseWriter, r *http.Request) {
	var reading Reading
	if !read(w, r, &reading) {
		return
	}
	if reading.Device == "" || reading.Metric == "" {
		refuse(w, http.StatusBadRequest, "device and metric are required")
		return
	}
	if reading.At.IsZero() {
		reading.At = time.Now().UTC().Truncate(time.Millisecond)
	}
	a.readings.add(reading)
	reply(w, http.StatusAccepted, map[string]any{"reading": reading})
}

// latest keeps what was added last, maxRecords of it. It is safe for concurrent use.
type latest[T any] struct {
	mu   sync.Mutex
	list []T
}

func (l *latest[T]) add(record T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, record)
	l.list = slices.Clone(l.list[max(0, len(l.list)-maxRecords):])
}

func (l *latest[T]) all() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]T{}, l.list...)
}

// upload counts a body of any size without keeping it: what a video of a device would be sent to.
func upload(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "the body ended early")
		return
	}
	reply(w, http.StatusCreated, map[string]any{"bytes": n, "content_type": r.Header.Get("Content-Type")})
}

// events is a stream that ends when the caller leaves or is made to: one event at once, then one each second.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flush := http.NewResponseController(w)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for n := 1; ; n++ {
		fmt.Fprintf(w, "event: tick\ndata: {\"n\":%d}\n\n", n)
		if flush.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}

// whoami shows what the gateway told about the caller, and whether a credential came through.
func whoami(w http.ResponseWriter, r *http.Request) {
	identity := map[string]string{}
	for name, values := range r.Header {
		if strings.HasPrefix(name, identityPrefix) {
			identity[name] = strings.Join(values, ", ")
		}
	}
	reply(w, 200, map[string]any{
		"method": r.Method, "path": r.URL.EscapedPath(), "identity": identity,
		"authorization_received": r.Header.Get("Authorization") != "",
	})
}

// read decodes a JSON body into v, or answers what is wrong with it.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	body.DisallowUnknownFields()
	err := body.Decode(v)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "The body is too large")
	case err != nil:
		refuse(w, http.StatusBadRequest, "The body must be JSON with the known members only")
	default:
		return true
	}
	return false
}

func refuse(w http.ResponseWriter, status int, message string) {
	reply(w, status, map[string]string{"error": message})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller may have left
}
