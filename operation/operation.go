package operation

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/internal/shape"
)

const (
	// DefaultDocument is where the OpenAPI document is served.
	DefaultDocument = "/openapi.json"
	// DefaultMaxBody is the most that a request body may have, in bytes.
	DefaultMaxBody = 1 << 20
)

// Options configures an [API]. Verifier is required; the zero value of every other field is a default.
type Options struct {
	Verifier latchward.Verifier // decides; a Service or the client of a server

	Title       string // of the API; "" = "API"
	Version     string // of the API; "" = "dev"
	Description string // Markdown
	Base        string // in front of the path of every operation, such as "/api"; see httpauth.Options
	Document    string // path of the OpenAPI document, below Base; "" = DefaultDocument, "-" = none is served

	Recorder latchward.Recorder           // takes usage; nil = the Verifier, if it is one, and else none is recorded
	Persons  httpauth.PersonAuthenticator // accepts JWTs of the host application beside tokens; nil = refuses them
	Proxies  *httpauth.Proxies            // who may tell client addresses; nil = nobody
	Guard    *httpauth.Guard              // bounds attempts with invalid credentials; nil = does not
	Prefix   string                       // of our secrets; "" = latchward.DefaultPrefix
	MaxBody  int64                        // bytes; 0 = DefaultMaxBody
	Logger   *slog.Logger                 // takes what callers are not told; nil = nowhere
	Now      func() time.Time             // nil = time.Now
}

// Operation describes what a function is called for, and who may call it. All that it names is needed.
type Operation struct {
	Path        string // below the API's Base, with parameters in braces: "/v1/orders/{id}"
	ID          string // in the document; "" = made of method and path
	Summary     string
	Description string
	Tags        []string

	Permissions string   // a query, such as "orders.read AND NOT legacy.x"; "" = none
	Licenses    []string // by name
	Roles       []string // by name
	Groups      []string // by name
	Cost        int64    // units of the limits; 0 = 1

	// Anonymous lets requests without a credential pass, too: with a Subject that is not valid. A credential that is
	// presented must be good all the same.
	Anonymous bool
	// Public looks at no credential: no subject, no limit and no usage. It is for what is not protected at all.
	Public bool

	Status int              // of success; 0 = 200, or 204 for None
	Errors []latchward.Code // that the function returns and the document would not tell otherwise
}

// None is what comes out of a function that answers with nothing but its status.
type None struct{}

// API serves operations. Make it with [New] and add all operations before the first request; from then on it is safe
// for concurrent use.
type API struct {
	options  Options
	judge    httpauth.Judge // for paths alone
	paths    segment
	entries  []*entry
	types    shape.Reader
	document func() []byte
}

// New returns an API without operations. It panics when there is no Verifier, or Base or Document is no path: that is a
// mistake in a program.
func New(o Options) *API {
	base, err := latchward.ValidateBase(o.Base)
	if err != nil || o.Verifier == nil {
		panic("operation.New: a Verifier and a base that is a path are needed: " + latchward.ErrorMessage(err))
	}
	o.Base = base
	setDefaults(&o)
	a := &API{options: o, judge: httpauth.Judge{Base: base}}
	a.document = sync.OnceValue(a.encodeDocument)
	if o.Document != "-" {
		e := &entry{method: http.MethodGet, Operation: Operation{Path: o.Document, Public: true}}
		e.handler = http.HandlerFunc(a.serveDocument)
		a.insert(e)
	}
	return a
}

func setDefaults(o *Options) {
	if o.Title == "" {
		o.Title = "API"
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Document == "" {
		o.Document = DefaultDocument
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if recorder, ok := o.Verifier.(latchward.Recorder); ok && o.Recorder == nil {
		o.Recorder = recorder
	}
}

// Get adds an operation that is asked with GET, or HEAD. See [Handle].
func Get[In, Out any](api *API, o Operation, do func(context.Context, In) (Out, error)) {
	Handle(api, http.MethodGet, o, do)
}

// Post adds an operation that is asked with POST. See [Handle].
func Post[In, Out any](api *API, o Operation, do func(context.Context, In) (Out, error)) {
	Handle(api, http.MethodPost, o, do)
}

// Put adds an operation that is asked with PUT. See [Handle].
func Put[In, Out any](api *API, o Operation, do func(context.Context, In) (Out, error)) {
	Handle(api, http.MethodPut, o, do)
}

// Patch adds an operation that is asked with PATCH. See [Handle].
func Patch[In, Out any](api *API, o Operation, do func(context.Context, In) (Out, error)) {
	Handle(api, http.MethodPatch, o, do)
}

// Delete adds an operation that is asked with DELETE. See [Handle].
func Delete[In, Out any](api *API, o Operation, do func(context.Context, In) (Out, error)) {
	Handle(api, http.MethodDelete, o, do)
}

// Handle adds an operation. In is a struct whose fields say where they come from, see the package; a method
// Validate() error of In or *In is asked before do is. Out is anything that has JSON, or [None]. An error of do is
// answered by its code and message (see [latchward.Error]), any other with a 500 that tells nothing and is logged.
//
// Handle panics for what can never work: types without JSON, parameters that do not fit the path, a query that cannot
// be parsed, rights asked of a caller who may be anonymous, and a method and path that are taken.
func Handle[In, Out any](api *API, method string, o Operation, do func(context.Context, In) (Out, error)) {
	e := api.newEntry(method, o, reflect.TypeFor[In](), reflect.TypeFor[Out]())
	e.answer = func(w http.ResponseWriter, r *http.Request) (any, error) {
		var in In
		if err := e.input.read(w, r, reflect.ValueOf(&in).Elem()); err != nil {
			return nil, err
		}
		if v, ok := any(&in).(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return nil, err
			}
		}
		return do(r.Context(), in)
	}
	api.insert(e)
	api.entries = append(api.entries, e)
}

// entry is an operation that was added.
type entry struct {
	Operation
	method  string
	input   *input
	reply   *shape.Shape // nil = none
	answer  func(w http.ResponseWriter, r *http.Request) (any, error)
	handler http.Handler // asks for the verdict, then answers
	api     *API
}

func (a *API) newEntry(method string, o Operation, in, out reflect.Type) *entry {
	e := &entry{Operation: o, method: method, api: a, input: a.newInput(method, o.Path, in)}
	if e.ID == "" {
		e.ID = defaultID(method, o.Path)
	}
	if out != reflect.TypeFor[None]() {
		e.reply = a.types.Of(out)
	}
	switch {
	case e.Status == 0 && e.reply == nil:
		e.Status = http.StatusNoContent
	case e.Status == 0:
		e.Status = http.StatusOK
	}
	e.handler = e.protected()
	return e
}

// defaultID returns method and path as one word: GET /v1/orders/{id} is getV1OrdersId.
func defaultID(method, path string) string {
	id := strings.ToLower(method)
	for word := range strings.FieldsFuncSeq(path, func(r rune) bool { return !isWord(r) }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

func isWord(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' }

// insert gives an operation its place. It panics when that is taken.
func (a *API) insert(e *entry) {
	place := a.paths.place(e.Path)
	if place.entries[e.method] != nil {
		panic("operation: there are two operations for " + e.method + " " + e.Path)
	}
	for _, other := range a.entries {
		if other.ID == e.ID {
			panic("operation: there are two operations with the ID " + e.ID)
		}
	}
	if place.entries == nil {
		place.entries = map[string]*entry{}
	}
	place.entries[e.method] = e
}
