package rest

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/internal/shape"
)

type object = shape.Object

// openAPI writes the OpenAPI 3.1 document of routes. Everything in it comes from the routes and their wire types.
type openAPI struct {
	shape.Schemas
}

const apiDescription = "Issue, verify, limit, observe, rotate and revoke API tokens.\n\n" +
	"Everything needs the JWT of a signed-in person unless it says otherwise: API tokens cannot manage tokens. The " +
	"exception is a service token to which an administrator granted, by its name, the permission that an operation of " +
	"/api/api-tokens names as x-token-permission: it may do so within its own endpoints, networks, limits and rights. " +
	"Verification and usage reports need a service token that holds tokens.verify, and count " +
	"against that token's own rate limit, once for a batch. " +
	"GET routes answer HEAD as well. Times are UTC with milliseconds. Members that a request does not know " +
	"are refused.\n\n" +
	"A cursor is good for the list it came from, with the same filters and order."

func newOpenAPI(version string, routes []route) object {
	d := &openAPI{}
	d.Reference(shapeOf(reflect.TypeFor[httpauth.Problem]()))
	paths := object{}
	for _, r := range routes {
		path, _ := paths.Get(r.path).(object)
		path.Set(strings.ToLower(r.method), d.operation(&r))
		paths.Set(r.path, path)
	}
	bearer := object{
		{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "Opaque"},
		{"description", "A person's JWT to manage, a service token to verify and report, any token to ask about itself."},
	}
	return object{
		{"openapi", "3.1.0"},
		{"info", object{{"title", "Latchward"}, {"version", version}, {"description", apiDescription}}},
		{"servers", []object{{{"url", "/"}}}},
		{"paths", paths},
		{"components", object{{"schemas", d.Components}, {"securitySchemes", object{{"bearerAuth", bearer}}}}},
	}
}

func (d *openAPI) operation(r *route) object {
	o := object{{"operationId", r.id}, {"summary", r.summary}, {"tags", []string{tagOf(r.path)}}}
	if r.public() {
		o.Set("security", []object{})
	} else {
		o.Set("security", []object{{{"bearerAuth", []string{}}}})
	}
	if r.permission != "" {
		o.Set("x-token-permission", r.permission)
	}
	if parameters := d.parameters(r); len(parameters) > 0 {
		o.Set("parameters", parameters)
	}
	if r.body != nil {
		d.Strict = true
		o.Set("requestBody", object{{"required", !r.bodyMayMiss}, {"content", d.content(jsonType, r.body)}})
		d.Strict = false
	}
	if r.lines != nil {
		d.Strict = true
		o.Set("requestBody", object{
			{"required", true}, {"description", "One JSON object on each line."}, {"content", d.content(ndjsonType, r.lines)},
		})
		d.Strict = false
	}
	responses := object{{strconv.Itoa(r.status), d.success(r)}}
	for _, status := range r.failures() {
		responses.Set(strconv.Itoa(status), d.failure(status))
	}
	o.Set("responses", responses)
	return o
}

const jsonType = "application/json"

// tagOf groups operations by what stands behind the mount.
func tagOf(path string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(path, base+"/"), "latchward/")
	name, _, _ = strings.Cut(name, "/")
	if name == "openapi.json" {
		return "docs"
	}
	return name
}

func (d *openAPI) parameters(r *route) []object {
	var list []object
	for segment := range strings.SplitSeq(r.path, "/") {
		name, ok := strings.CutPrefix(strings.TrimSuffix(segment, "}"), "{")
		if !ok {
			continue
		}
		schema := object{{"type", "integer"}, {"minimum", 0}}
		if name == "name" {
			schema = object{{"type", "string"}, {"maxLength", latchward.MaxPermissionLength}}
		}
		list = append(list, object{{"name", name}, {"in", "path"}, {"required", true}, {"schema", schema}})
	}
	if r.tagged {
		list = append(list, object{
			{"name", "If-Match"}, {"in", "header"}, {"required", false}, {"schema", object{{"type", "string"}}},
			{"description", "ETag of what was read; 412 if that has changed since."},
		})
	}
	if r.repeatable {
		list = append(list, object{
			{"name", headerRequestKey}, {"in", "header"}, {"required", false},
			{"schema", object{{"type", "string"}, {"maxLength", latchward.MaxRequestKeyLength}}},
			{"description", "Repeating the request with the same key replaces the secret, which may not have arrived."},
		})
	}
	if r.query == nil {
		return list
	}
	for _, m := range r.query.Members() {
		p := object{{"name", m.Name}, {"in", "query"}, {"required", m.Required}}
		if m.Doc != "" {
			p.Set("description", m.Doc)
		}
		p.Set("schema", d.Schema(m.Shape))
		list = append(list, p)
	}
	return list
}

func (d *openAPI) content(media string, sh *shape.Shape) object {
	return object{{media, object{{"schema", d.Schema(sh)}}}}
}

func (d *openAPI) success(r *route) object {
	o := object{{"description", http.StatusText(r.status)}}
	switch {
	case r.media != "":
		o.Set("content", object{{r.media, object{}}})
	case r.reply != nil:
		o.Set("content", d.content(jsonType, r.reply))
	}
	return o
}

func (d *openAPI) failure(status int) object {
	problem := d.Reference(shapeOf(reflect.TypeFor[httpauth.Problem]()))
	return object{
		{"description", http.StatusText(status)},
		{"content", object{{"application/problem+json", object{{"schema", problem}}}}},
	}
}

// failures lists the statuses with which a route refuses or fails.
func (r *route) failures() []int {
	var list []int
	if r.access == possessors {
		list = []int{
			http.StatusBadRequest, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
		}
	}
	if !r.public() {
		list = []int{
			http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests,
			http.StatusInternalServerError, http.StatusServiceUnavailable,
		}
	}
	if strings.Contains(r.path, "{") {
		list = append(list, http.StatusNotFound)
	}
	if r.body != nil || r.lines != nil {
		list = append(list, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if r.access == persons && r.method != http.MethodGet {
		list = append(list, http.StatusConflict)
	}
	if r.tagged {
		list = append(list, http.StatusPreconditionFailed)
	}
	slices.Sort(list)
	return list
}
