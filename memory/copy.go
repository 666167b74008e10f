package memory

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/latchward/latchward"
)

// copyToken returns a token as callers get it: a copy, with the name that its owner has now.
func (s *Store) copyToken(t *latchward.Token) *latchward.Token {
	c := t.Clone()
	c.Metadata = copyObject(t.Metadata)
	owner, _ := s.ownerFacts(t.Owner)
	c.Owner.Name = owner.Name
	return c
}

// keepToken returns a token as it is kept: a copy, without the owner's name.
func keepToken(t *latchward.Token) (*latchward.Token, error) {
	c := t.Clone()
	c.Owner.Name = ""
	c.Roles, c.Groups, c.Licenses = idSet(t.Roles), idSet(t.Groups), idSet(t.Licenses)
	var err error
	c.Metadata, err = plainObject("metadata", t.Metadata)
	return c, err
}

func copyUser(u *latchward.User) (*latchward.User, error) {
	if u == nil {
		return nil, notFound("user")
	}
	c := *u
	c.Roles, c.Groups, c.Licenses = idSet(u.Roles), idSet(u.Groups), idSet(u.Licenses)
	return &c, nil
}

// plainObject returns what any database gives back for a JSON object: maps, slices, strings, float64, bool and nil.
func plainObject(field string, object map[string]any) (map[string]any, error) {
	if object == nil {
		return nil, nil
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, latchward.Invalid(field, "must be a JSON object")
	}
	var plain map[string]any
	return plain, json.Unmarshal(text, &plain)
}

// copyObject copies what plainObject returned.
func copyObject(object map[string]any) map[string]any {
	c := maps.Clone(object)
	for name, value := range c {
		c[name] = copyValue(value)
	}
	return c
}

func copyValue(value any) any {
	switch value := value.(type) {
	case map[string]any:
		return copyObject(value)
	case []any:
		c := slices.Clone(value)
		for i := range c {
			c[i] = copyValue(c[i])
		}
		return c
	}
	return value
}

// copyEvent returns an event that shares no memory with the journal it was read from.
func copyEvent(e *latchward.UsageEvent) latchward.UsageEvent {
	c := *e
	c.Endpoint, c.Method = strings.Clone(e.Endpoint), strings.Clone(e.Method)
	c.UserAgent, c.RequestID = strings.Clone(e.UserAgent), strings.Clone(e.RequestID)
	return c
}
