package demo

import (
	"context"

	"github.com/latchward/latchward/operation"
)

// OperationsPrefix is below which the sample operations are, with the base.
const OperationsPrefix = "/api/v1"

// OperationsDocument is where their OpenAPI document is, without the base.
const OperationsDocument = "/v1/openapi.json"

// What the till of the sample has, and the sample operations ask for.
const (
	Role       = "stock-keeper"
	Group      = "meadow-hive"
	License    = "forecasts"
	Permission = "stock.read"
)

// Message is what the sample operations answer with.
type Message struct {
	Message string
}

// Caller is what goes into an operation that only wants to know who calls.
type Caller struct {
	Subject operation.Subject
}

// AddOperations adds the sample operations to api, whose base is /api: one that needs a good credential, one each that
// needs a role, a group, a permission and a license, one that recognises callers but asks for nothing, and one that
// looks at no credential (S5-08, S5-09, S5-11, X-10).
func AddOperations(api *operation.API) {
	operation.Get(api, operation.Operation{
		Path: "/v1/protected", Summary: "Say who calls",
	}, greet)
	operation.Get(api, operation.Operation{
		Path: "/v1/stock/count", Summary: "Count the stock, for whoever has the role", Roles: []string{Role},
	}, answer("24 kinds of goods are in stock"))
	operation.Get(api, operation.Operation{
		Path: "/v1/shifts", Summary: "Show the shifts, for members of the group", Groups: []string{Group},
	}, answer("Ada opens, Ben closes"))
	operation.Get(api, operation.Operation{
		Path: "/v1/stock", Summary: "Show the stock, for whoever holds the permission", Permissions: Permission,
	}, answer("12 hives, 48 smokers, 120 hive tools"))
	operation.Get(api, operation.Operation{
		Path: "/v1/forecast", Summary: "Foretell the harvest, for whoever has the license", Licenses: []string{License},
	}, answer("38 kg of honey in June"))
	operation.Get(api, operation.Operation{
		Path: "/v1/welcome", Summary: "Greet whoever comes, by name if there is one", Anonymous: true,
	}, welcome)
	operation.Get(api, operation.Operation{
		Path: "/v1/hours", Summary: "Show the opening hours, to everybody", Public: true,
	}, func(context.Context, struct{}) (Message, error) { return Message{"Monday to Saturday, 9 to 18"}, nil })
}

func greet(_ context.Context, in Caller) (Message, error) {
	return Message{"Access granted for " + in.Subject.ID()}, nil
}

func welcome(_ context.Context, in Caller) (Message, error) {
	if !in.Subject.Valid() {
		return Message{"Welcome, stranger"}, nil
	}
	return Message{"Welcome, " + in.Subject.Name()}, nil
}

// answer returns a function that always says the same.
func answer(text string) func(context.Context, Caller) (Message, error) {
	return func(context.Context, Caller) (Message, error) { return Message{text}, nil }
}
