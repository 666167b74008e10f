package main

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// tokenFields are what creating and changing a token have in common.
type tokenFields struct {
	Description *string  `help:"What it is for." placeholder:"TEXT"`
	RateLimit   *int64   `help:"Requests per minute (default 100)." placeholder:"N"`
	Endpoint    []string `help:"Allowed endpoint, such as '/products*' or 'GET,POST /orders'; may be repeated." placeholder:"PATTERN" sep:"none"`
	Network     []string `help:"Allowed client network or address; may be repeated." placeholder:"CIDR"`
	Permission  []string `help:"Permission, such as tokens.verify; may be repeated." placeholder:"NAME"`
	heldFields
	Expires   *moments `help:"Date or time from which on it is expired." placeholder:"WHEN"`
	NotBefore *moments `help:"Date or time before which it is not valid." placeholder:"WHEN"`
	IdleDays  *int     `help:"Days without use after which it goes inactive; 0 for never." placeholder:"N"`
	Tag       []string `help:"Tag; may be repeated." placeholder:"TAG"`
	Metadata  *string  `help:"JSON object to keep with it." placeholder:"JSON"`
	Reuse     *string  `help:"What the use of a rotated-out secret brings about: alert (default), disable or revoke." placeholder:"POLICY"`
}

// heldFields name what a user or service token is to have.
type heldFields struct {
	Role    []string `help:"Role to have; may be repeated, and - is none." placeholder:"NAME"`
	Group   []string `help:"Group to be a member of; may be repeated, and - is none." placeholder:"NAME"`
	License []string `help:"License to take a seat of; may be repeated, and - is none." placeholder:"NAME"`
}

func (f *heldFields) set(roles, groups, licenses *rest.Optional[[]string]) {
	for member, names := range map[*rest.Optional[[]string]][]string{roles: f.Role, groups: f.Group, licenses: f.License} {
		if givenList(member, names); len(names) == 1 && names[0] == "-" {
			*member = rest.Some([]string{})
		}
	}
}

// moments is a time as the API takes it: a date alone is its midnight in UTC.
type moments struct{ rest.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moments) UnmarshalText(text []byte) error {
	if err := m.UnmarshalJSON([]byte(strconv.Quote(string(text)))); err != nil {
		return errors.New(latchward.ErrorMessage(err))
	}
	return nil
}

// change returns what was named on the command line.
func (f *tokenFields) change() (rest.TokenChange, error) {
	var c rest.TokenChange
	given(&c.Description, f.Description)
	given(&c.RateLimit, f.RateLimit)
	givenList(&c.AllowedEndpoints, f.Endpoint)
	givenList(&c.AllowedNetworks, f.Network)
	givenList(&c.Permissions, f.Permission)
	givenList(&c.Tags, f.Tag)
	f.set(&c.Roles, &c.Groups, &c.Licenses)
	if f.Expires != nil {
		c.ExpiresAt = rest.Some(f.Expires.Time)
	}
	if f.NotBefore != nil {
		c.NotBefore = rest.Some(f.NotBefore.Time)
	}
	if given(&c.IdleTimeoutDays, f.IdleDays); f.IdleDays != nil && *f.IdleDays == 0 {
		c.IdleTimeoutDays = rest.Null[int]()
	}
	if f.Reuse != nil {
		c.Reuse = rest.Some(latchward.ReusePolicy(*f.Reuse))
	}
	if f.Metadata != nil {
		var object map[string]any
		if err := json.Unmarshal([]byte(*f.Metadata), &object); err != nil {
			return c, latchward.Invalid("metadata", "must be a JSON object like '{\"site\":7}'")
		}
		c.Metadata = rest.Some(object)
	}
	return c, nil
}

func given[T any](member *rest.Optional[T], value *T) {
	if value != nil {
		*member = rest.Some(*value)
	}
}

func givenList(member *rest.Optional[[]string], values []string) {
	if len(values) > 0 {
		*member = rest.Some(values)
	}
}

// clearMembers sets the named members to null.
func clearMembers(c *rest.TokenChange, names []string) error {
	for _, name := range names {
		switch name {
		case "name":
			c.Name = rest.Null[string]()
		case "description":
			c.Description = rest.Null[string]()
		case "rate_limit":
			c.RateLimit = rest.Null[int64]()
		case "expires_at":
			c.ExpiresAt = rest.Null[rest.Time]()
		case "not_before":
			c.NotBefore = rest.Null[rest.Time]()
		case "allowed_endpoints":
			c.AllowedEndpoints = rest.Null[[]string]()
		case "allowed_networks":
			c.AllowedNetworks = rest.Null[[]string]()
		case "permissions":
			c.Permissions = rest.Null[[]string]()
		case "tags":
			c.Tags = rest.Null[[]string]()
		case "metadata":
			c.Metadata = rest.Null[map[string]any]()
		default:
			return latchward.Invalid("--clear", "%q cannot be cleared: see latchward token update --help", name)
		}
	}
	return nil
}
