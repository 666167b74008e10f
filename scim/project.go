package scim

import (
	"maps"
	"slices"
	"strings"
)

// projection is which attributes a reply shows (RFC 7644 §3.9).
type projection struct {
	only, without []target // nil = not said
}

// project reads the parameters attributes and excludedAttributes. Names that nothing has choose nothing.
func project(of *definition, only, without []string) projection {
	return projection{targetsOf(of, only), targetsOf(of, without)}
}

func targetsOf(of *definition, lists []string) []target {
	if lists == nil {
		return nil
	}
	targets := []target{}
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			if at, known := resolve(of, of.attributes, strings.TrimSpace(name)); known {
				targets = append(targets, at)
			}
		}
	}
	return targets
}

// shows reports whether any of an attribute is shown.
func (p projection) shows(a *attribute) bool {
	if a.always {
		return true
	}
	if p.only != nil && !slices.ContainsFunc(p.only, func(t target) bool { return t.attribute == a }) {
		return false
	}
	return !slices.Contains(p.without, target{attribute: a})
}

// of returns what is shown of a resource.
func (p projection) of(d *definition, resource object) object {
	if p.only == nil && p.without == nil {
		return resource
	}
	shown := object{}
	for _, a := range d.attributes {
		if value, ok := resource[a.name]; ok && p.shows(a) {
			shown[a.name] = p.parts(a, value)
		}
	}
	return shown
}

// parts returns what is shown of a value.
func (p projection) parts(a *attribute, value any) any {
	if a.always || len(a.sub) == 0 {
		return value
	}
	hidden := func(sub *attribute) bool { return slices.Contains(p.without, target{a, sub}) }
	chosen := func(sub *attribute) bool { return slices.Contains(p.only, target{a, sub}) }
	whole := p.only == nil || slices.Contains(p.only, target{attribute: a})
	part := func(one any) any {
		o, ok := one.(object)
		if !ok {
			return one
		}
		kept := object{}
		for _, sub := range a.sub {
			if inner, ok := o[sub.name]; ok && (whole || chosen(sub)) && !hidden(sub) {
				kept[sub.name] = inner
			}
		}
		return kept
	}
	if list, ok := value.([]any); ok {
		parts := make([]any, len(list))
		for i, one := range list {
			parts[i] = part(one)
		}
		return parts
	}
	return part(value)
}

func inOrder(o object) []string { return slices.Sorted(maps.Keys(o)) }
