// Package operation makes HTTP APIs of functions: JSON in and out, checked against the types that go in and come out,
// with the caller's rights asked for first, and an OpenAPI document made of the same types.
//
//	api := operation.New(operation.Options{Verifier: service, Title: "Store", Base: "/api"})
//	operation.Get(api, operation.Operation{Path: "/v1/orders/{id}", Permissions: "orders.read"}, readOrder)
//	http.Handle("/api/", api)
//
// where readOrder takes a struct whose fields say where they come from:
//
//	type OrderRequest struct {
//		Subject operation.Subject        // who calls
//		ID      int64  `path:"id"`       // of the path
//		Full    bool   `query:"full,omitzero"`
//		Note    string `json:"note"`     // of the body, which is JSON
//	}
//
// What callers send is refused unless it is exactly what the types say: a member that is unknown, missing, given twice
// or out of its bounds is an error of code invalid (400) that names it. The tags of a field are path, query, header and
// json for its name, each with the options omitempty or omitzero for "may be left out"; default for a parameter's value
// when it is; doc, range and enum for what the document says and callers are held to: range:"1,10" bounds a number, the
// characters of a text or the items of a list.
package operation
