package scim

import "strings"

// URNs of schemas and messages (RFC 7643 §10.3, §10.4).
const (
	userSchema       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	configSchema     = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	typeSchema       = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaSchema     = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	listSchema       = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	searchSchema     = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	patchSchema      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	errorSchema      = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// kind is the type of an attribute (RFC 7643 §2.3).
type kind string

const (
	text      kind = "string"
	boolean   kind = "boolean"
	moment    kind = "dateTime"
	reference kind = "reference"
	complexes kind = "complex"
)

// attribute describes a member of a resource (RFC 7643 §7).
type attribute struct {
	name       string
	kind       kind
	about      string
	multi      bool
	required   bool
	exact      bool // upper and lower case matter
	readOnly   bool
	immutable  bool // of a sub-attribute: is set once
	always     bool // is returned whatever is asked for
	uniqueness string
	refers     []string // of a reference
	canonical  []string // suggested values
	sub        []*attribute
	common     bool // of every resource: in no schema
	ignored    bool // is taken and not kept: in no schema either, and nothing can be asked about it
}

// definition is a kind of resource.
type definition struct {
	name, endpoint, schema, about string
	attributes                    []*attribute
}

// find returns the attribute of a list with that name, in any case, or nil.
func find(list []*attribute, name string) *attribute {
	for _, a := range list {
		if strings.EqualFold(a.name, name) {
			return a
		}
	}
	return nil
}

// value returns the sub-attribute that a value stands for when none is named (RFC 7644 §3.4.2.2), or nil.
func (a *attribute) value() *attribute { return find(a.sub, "value") }

// published are the attributes that the schema shows.
func published(list []*attribute) []*attribute {
	var shown []*attribute
	for _, a := range list {
		if !a.ignored && !a.common {
			shown = append(shown, a)
		}
	}
	return shown
}

func ignored(names ...string) []*attribute {
	list := make([]*attribute, len(names))
	for i, name := range names {
		list[i] = &attribute{name: name, ignored: true}
	}
	return list
}

// commonAttributes are those of every resource (RFC 7643 §3.1).
func commonAttributes(resource string) []*attribute {
	return []*attribute{
		{name: "schemas", kind: reference, multi: true, exact: true, always: true, readOnly: true, common: true},
		{name: "id", kind: text, exact: true, always: true, readOnly: true, common: true},
		{name: "externalId", kind: text, exact: true, common: true},
		{name: "meta", kind: complexes, readOnly: true, common: true, sub: []*attribute{
			{name: "resourceType", kind: text, exact: true, readOnly: true},
			{name: "created", kind: moment, readOnly: true},
			{name: "lastModified", kind: moment, readOnly: true},
			{name: "location", kind: reference, exact: true, readOnly: true, refers: []string{resource}},
			{name: "version", kind: text, exact: true, readOnly: true},
		}},
	}
}

// users is the kind of resource that people are.
var users = &definition{
	name: "User", endpoint: "/Users", schema: userSchema, about: "User account", attributes: userAttributes(),
}

// groups is the kind of resource that groups are.
var groups = &definition{
	name: "Group", endpoint: "/Groups", schema: groupSchema, about: "Group", attributes: groupAttributes(),
}

func userAttributes() []*attribute {
	names := append([]*attribute{
		{name: "formatted", kind: text, about: "The whole name. It is the same as displayName."},
		{name: "familyName", kind: text, about: "The family name."},
		{name: "givenName", kind: text, about: "The given name."},
	}, ignored("middleName", "honorificPrefix", "honorificSuffix")...)
	emails := append([]*attribute{
		{name: "value", kind: text, about: "The address."},
		{name: "type", kind: text, about: "What the address is for. It is always work.", canonical: []string{"work"}},
		{name: "primary", kind: boolean, about: "Whether it is the preferred address. It always is."},
	}, ignored("display")...)
	list := append(commonAttributes("User"), &attribute{
		name: "userName", kind: text, required: true, uniqueness: "server", about: "By which the directory knows the person.",
	}, &attribute{
		name: "name", kind: complexes, about: "The parts of the person's name.", sub: names,
	}, &attribute{
		name: "displayName", kind: text, about: "The name as people read it.",
	}, &attribute{
		name: "emails", kind: complexes, multi: true, sub: emails,
		about: "E-mail addresses. One is kept: the primary one, else the one of type work, else the first.",
	}, &attribute{
		name: "active", kind: boolean, about: "While false, the person cannot act and none of their tokens works.",
	}, &attribute{
		name: "groups", kind: complexes, multi: true, readOnly: true, about: "Groups whose member the person is.",
		sub: []*attribute{
			{name: "value", kind: text, exact: true, readOnly: true, about: "The id of the group."},
			{name: "$ref", kind: reference, exact: true, readOnly: true, refers: []string{"Group"}, about: "Its address."},
			{name: "display", kind: text, readOnly: true, about: "Its displayName."},
		},
	})
	return append(list, ignored("nickName", "profileUrl", "title", "userType", "preferredLanguage", "locale", "timezone",
		"password", "phoneNumbers", "ims", "photos", "addresses", "entitlements", "roles", "x509Certificates")...)
}

func groupAttributes() []*attribute {
	return append(commonAttributes("Group"), &attribute{
		name: "displayName", kind: text, required: true, uniqueness: "server", about: "The name as people read it.",
	}, &attribute{
		name: "members", kind: complexes, multi: true, about: "Users who are members.",
		sub: append([]*attribute{
			{name: "value", kind: text, exact: true, immutable: true, about: "The id of the user."},
			{name: "$ref", kind: reference, exact: true, immutable: true, refers: []string{"User"}, about: "Their address."},
			{name: "type", kind: text, immutable: true, canonical: []string{"User"}, about: "It is always User."},
		}, ignored("display")...),
	})
}
