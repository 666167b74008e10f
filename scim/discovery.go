package scim

import (
	"net/http"
	"slices"
)

// config answers what is offered (RFC 7643 §5). It is the truth: what it denies is refused.
func (c *call) config() error {
	offered := func(is bool) object { return object{"supported": is} }
	return write(c.w, http.StatusOK, object{
		"schemas": []any{configSchema}, "patch": offered(true),
		"bulk":           object{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter":         object{"supported": true, "maxResults": maxCount},
		"changePassword": offered(false), "sort": offered(false), "etag": offered(true),
		"authenticationSchemes": []any{object{
			"type": "oauthbearertoken", "name": "API token", "primary": true,
			"description": "A service token that was granted users.* and groups.*, in the header Authorization: Bearer.",
		}},
		"meta": object{"resourceType": "ServiceProviderConfig", "location": c.base + "/ServiceProviderConfig"},
	})
}

func (c *call) typeOf(d *definition) object {
	o := object{
		"schemas": []any{typeSchema}, "id": d.name, "name": d.name, "endpoint": d.endpoint, "schema": d.schema,
		"description": d.about,
		"meta":        object{"resourceType": "ResourceType", "location": c.base + "/ResourceTypes/" + d.name},
	}
	return o
}

func (c *call) resourceTypes() error { return c.sendAll((*call).typeOf) }

func (c *call) resourceType() error {
	return c.sendOne((*call).typeOf, func(d *definition) string { return d.name })
}

func (c *call) schemas() error { return c.sendAll((*call).schemaOf) }

func (c *call) schema() error {
	return c.sendOne((*call).schemaOf, func(d *definition) string { return d.schema })
}

// sendAll answers with a description of each kind of resource. There is no choosing among them: RFC 7644 §4 has filters
// refused here.
func (c *call) sendAll(describe func(*call, *definition) object) error {
	if c.r.URL.Query().Has("filter") {
		return &fault{status: http.StatusForbidden, text: "What is offered is not filtered."}
	}
	all := []object{describe(c, users), describe(c, groups)}
	return c.sendList(&search{start: 1}, int64(len(all)), all)
}

func (c *call) sendOne(describe func(*call, *definition) object, id func(*definition) string) error {
	for _, d := range []*definition{users, groups} {
		if id(d) == c.id {
			return write(c.w, http.StatusOK, describe(c, d))
		}
	}
	return &fault{status: http.StatusNotFound, text: "There is nothing of this name."}
}

// schemaOf returns what a schema says (RFC 7643 §7).
func (c *call) schemaOf(d *definition) object {
	return object{
		"schemas": []any{schemaSchema}, "id": d.schema, "name": d.name, "description": d.about,
		"attributes": describe(d.attributes),
		"meta":       object{"resourceType": "Schema", "location": c.base + "/Schemas/" + d.schema},
	}
}

func describe(list []*attribute) []any {
	described := []any{}
	for _, a := range published(list) {
		described = append(described, a.describe())
	}
	return described
}

func (a *attribute) describe() object {
	o := object{
		"name": a.name, "type": string(a.kind), "multiValued": a.multi, "description": a.about, "required": a.required,
		"caseExact": a.exact, "mutability": "readWrite", "returned": "default", "uniqueness": "none",
	}
	switch {
	case a.readOnly:
		o["mutability"] = "readOnly"
	case a.immutable:
		o["mutability"] = "immutable"
	}
	if a.uniqueness != "" {
		o["uniqueness"] = a.uniqueness
	}
	for name, words := range map[string][]string{"referenceTypes": a.refers, "canonicalValues": a.canonical} {
		if words != nil {
			o[name] = slices.Clone(words)
		}
	}
	if len(a.sub) > 0 {
		o["subAttributes"] = describe(a.sub)
	}
	return o
}
