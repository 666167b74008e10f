package scim

import (
	"maps"
	"strings"
)

// maxOperations bounds the operations of one PATCH.
const maxOperations = 10_000

// operation is one change of a PATCH (RFC 7644 §3.5.2).
type operation struct {
	op    string // add, remove or replace
	path  string // "" = none
	value any
}

// operations reads the body of a PATCH.
func operations(o object) ([]operation, error) {
	if err := wantSchema(o, patchSchema); err != nil {
		return nil, err
	}
	list, ok := member(o, "Operations").([]any)
	if !ok || len(list) == 0 {
		return nil, bad(invalidSyntax, "Operations must be a list with at least one operation.")
	}
	if len(list) > maxOperations {
		return nil, bad(tooMany, "A PATCH has at most %d operations.", maxOperations)
	}
	all := make([]operation, len(list))
	for i, one := range list {
		given, ok := one.(object)
		if !ok {
			return nil, bad(invalidSyntax, "Operations[%d] must be an object.", i)
		}
		op, _ := member(given, "op").(string)
		all[i] = operation{op: strings.ToLower(op), value: member(given, "value")} // Microsoft Entra ID sends Add
		switch all[i].op {
		case "add", "remove", "replace":
		default:
			return nil, bad(invalidSyntax, "Operations[%d].op must be add, remove or replace.", i)
		}
		switch path := member(given, "path").(type) {
		case nil:
		case string:
			all[i].path = strings.TrimSpace(path)
		default:
			return nil, bad(invalidPath, "Operations[%d].path must be a text.", i)
		}
	}
	return all, nil
}

// each calls apply with every path that an operation is about, and its value. An operation without a path is about
// each member of its value, whose names may be paths, as Microsoft Entra ID sends them; there, as in a whole resource,
// what callers cannot set is passed over.
func (o *operation) each(of *definition, apply func(op string, at path, value any) error) error {
	if o.path != "" {
		at, err := parsePath(of, o.path)
		switch {
		case err != nil:
			return err
		case at.leaf().ignored:
			return nil
		case at.attribute.readOnly || at.leaf().readOnly:
			return bad(mutability, "%s cannot be changed.", o.path)
		case o.op == "add" && o.value == nil:
			return bad(invalidValue, "add needs a value.")
		}
		return apply(o.op, at, o.value)
	}
	if o.op == "remove" {
		return bad(noTarget, "remove needs a path.")
	}
	values, ok := o.value.(object)
	if !ok {
		return bad(invalidValue, "Without a path, value must be an object.")
	}
	for _, name := range inOrder(values) {
		if extends(name) || strings.EqualFold(name, "schemas") {
			continue
		}
		at, err := parsePath(of, name)
		if err != nil {
			return err
		}
		if at.leaf().ignored || at.attribute.readOnly || at.leaf().readOnly {
			continue
		}
		if err := apply(o.op, at, values[name]); err != nil {
			return err
		}
	}
	return nil
}

// change does to a resource what an operation says.
func change(resource object, op string, at path, value any) error {
	a := at.attribute
	if op == "remove" || value == nil { // null is none (RFC 7643 §2.5)
		return remove(resource, at, value)
	}
	switch {
	case at.chosen != nil || at.sub != nil && a.multi:
		return changeValues(resource, op, at, value)
	case at.sub != nil:
		taken, err := at.sub.take(value)
		if err != nil {
			return err
		}
		whole, _ := resource[a.name].(object)
		resource[a.name] = with(whole, object{at.sub.name: taken})
		return nil
	}
	taken, err := a.take(value)
	switch {
	case err != nil:
		return err
	case a.multi && op == "add":
		resource[a.name] = joined(listOf(resource[a.name]), listOf(taken))
	case a.kind == complexes && !a.multi:
		whole, _ := resource[a.name].(object)
		resource[a.name] = with(whole, taken.(object))
	case taken != nil:
		resource[a.name] = taken
	}
	return nil
}

// with returns a copy of an object with other members in it; nil takes one out.
func with(whole, members object) object {
	changed := maps.Clone(whole)
	if changed == nil {
		changed = object{}
	}
	for name, value := range members {
		if changed[name] = value; value == nil {
			delete(changed, name)
		}
	}
	return changed
}

// joined returns values with more behind them, each once by its value; a new primary one is the only one.
func joined(values, more []any) []any {
	list := append([]any(nil), values...)
	for _, one := range more {
		added := one.(object)
		if added["primary"] == true {
			for i, other := range list {
				list[i] = with(other.(object), object{"primary": nil})
			}
		}
		same := false
		for i, other := range list {
			if known := other.(object); known["value"] == added["value"] {
				list[i], same = with(known, added), true
			}
		}
		if !same {
			list = append(list, added)
		}
	}
	return list
}

// changeValues changes those values of a multi-valued attribute that were chosen. Adding to none makes one; replacing
// needs one (RFC 7644 §3.5.2.3).
func changeValues(resource object, op string, at path, value any) error {
	members, err := at.members(value)
	if err != nil {
		return err
	}
	list, found := append([]any(nil), listOf(resource[at.attribute.name])...), false
	for i, one := range list {
		if known := one.(object); at.chosen == nil || at.chosen.matches(viewOf(known)) {
			list[i], found = with(known, members), true
		}
	}
	if !found {
		if op == "replace" && at.chosen != nil {
			return bad(noTarget, "No value of %s is meant by the path.", at.attribute.name)
		}
		list = append(list, with(implied(at.chosen), members))
	}
	resource[at.attribute.name] = list
	return nil
}

// members returns what a value sets of each chosen value.
func (at path) members(value any) (object, error) {
	if at.sub == nil {
		taken, err := at.attribute.takeOne(value)
		if err != nil {
			return nil, err
		}
		return taken.(object), nil
	}
	taken, err := at.sub.take(value)
	return object{at.sub.name: taken}, err
}

// implied returns a value that a filter would choose, as far as it says what that is.
func implied(f filter) object {
	switch f := f.(type) {
	case both:
		return with(implied(f.left), implied(f.right))
	case comparison:
		if f.op == "eq" && f.value != nil && f.at.sub == nil {
			return object{f.at.attribute.name: f.value}
		}
	}
	return object{}
}

// remove takes away an attribute, a part of it, or values of it. Microsoft Entra ID names values beside the path.
func remove(resource object, at path, value any) error {
	a := at.attribute
	if a.required && at.sub == nil {
		return bad(mutability, "%s cannot be removed.", a.name)
	}
	switch {
	case !a.multi && at.sub != nil:
		whole, _ := resource[a.name].(object)
		resource[a.name] = with(whole, object{at.sub.name: nil})
		return nil
	case !a.multi || at.chosen == nil && at.sub == nil && value == nil:
		delete(resource, a.name)
		return nil
	}
	named, err := a.take(value)
	if err != nil && at.sub == nil {
		return err
	}
	list := []any{}
	for _, one := range listOf(resource[a.name]) {
		known := one.(object)
		goes := at.chosen == nil || at.chosen.matches(viewOf(known))
		if goes && at.chosen == nil && at.sub == nil {
			goes = names(listOf(named), known["value"])
		}
		switch {
		case !goes:
			list = append(list, known)
		case at.sub != nil:
			list = append(list, with(known, object{at.sub.name: nil}))
		}
	}
	resource[a.name] = list
	return nil
}

// names reports whether one of a list of objects has that value.
func names(list []any, value any) bool {
	for _, one := range list {
		if o, ok := one.(object); ok && o["value"] == value {
			return true
		}
	}
	return false
}
