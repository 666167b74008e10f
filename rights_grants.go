package latchward

import "slices"

// Grants returns grants that together hold what r holds, no more and no less, in order: those given, cut back to what
// bounds them, and without permissions over Latchward itself where those do not count. Never nil. It is for people and
// for programs that cannot read [RightsFacts]; [Rights.Has] answers faster.
func (r *Rights) Grants() []string {
	held := []string{}
	if r == nil {
		return held
	}
	if r.bound == nil {
		held = append(held, r.granted.texts...)
	} else {
		held = bothHold(r.granted.texts, r.bound.Grants())
	}
	if !r.reserved {
		held = slices.DeleteFunc(held, reservedPermission)
	}
	slices.Sort(held)
	return slices.Compact(held)
}

// bothHold returns what two lists of grants have in common.
func bothHold(list, other []string) []string {
	common := []string{}
	for _, a := range list {
		of := newGrants([]string{a})
		for _, b := range other {
			if grant := bothGrant(a, b, &of); grant != "" {
				common = append(common, grant)
			}
		}
	}
	return common
}

// bothGrant returns the grant that holds what a and b have in common, "" when that is nothing; of is a.
func bothGrant(a, b string, of *grants) string {
	if of.covers(b) {
		return b
	}
	if other := newGrants([]string{b}); other.covers(a) {
		return a
	}
	resource, action := cutPermission(a)
	otherResource, otherAction := cutPermission(b)
	if resource == "*" {
		resource, otherResource = otherResource, resource
		action, otherAction = otherAction, action
	}
	if action != "*" || otherResource != "*" || reservedResource(resource) {
		return "" // they meet only as "resource.*" and "*.action"
	}
	return resource + "." + otherAction
}
