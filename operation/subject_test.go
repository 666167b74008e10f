package operation_test

import (
	"slices"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/operation"
)

func verdict(reason latchward.Reason) latchward.Verdict {
	return latchward.Verdict{
		Reason: reason, At: noon, Subject: latchward.Subject{Type: latchward.SubjectUser, ID: 3, Name: "Ada"},
		Rights: newWorld().held["full"],
	}
}

// S5-07
func TestSubject(t *testing.T) {
	s := operation.NewSubject(verdict(latchward.ReasonAllowed))
	if s.ID() != "user:3" || s.Name() != "Ada" || !s.Valid() {
		t.Errorf("%q %q %v", s.ID(), s.Name(), s.Valid())
	}
	if !s.HasPermission("orders.read") || s.HasPermission("stores.read") || !s.HasRole("clerk") || s.HasRole("x") ||
		!s.HasGroup("store") || s.HasGroup("x") || !s.HasLicense("pro") || s.HasLicense("past") {
		t.Error("rights differ from what is held")
	}
	if !slices.Equal(s.Roles(), []string{"clerk"}) || !slices.Equal(s.Groups(), []string{"store"}) ||
		!slices.Equal(s.Licenses(), []string{"pro"}) {
		t.Errorf("%v %v %v", s.Roles(), s.Groups(), s.Licenses())
	}
	if err := s.Audit("orders.read"); err != nil {
		t.Error(err)
	}
	err := s.Audit("stores.read")
	if latchward.ErrorCode(err) != latchward.CodeForbidden ||
		latchward.ErrorMessage(err) != "Needs the permission stores.read" {
		t.Error(err)
	}
}

// A subject that was refused, or that nobody is, holds nothing.
func TestSubjectOfNobody(t *testing.T) {
	for _, s := range []operation.Subject{
		{}, operation.NewSubject(verdict(latchward.ReasonExpired)), operation.SubjectFrom(t.Context()),
		operation.NewSubject(latchward.Verdict{Reason: latchward.ReasonMissing}),
	} {
		if s.ID() != "" || s.Name() != "" || s.Valid() || s.HasPermission("orders.read") || s.HasRole("clerk") ||
			s.HasGroup("store") || s.HasLicense("pro") || len(s.Roles())+len(s.Groups())+len(s.Licenses()) > 0 {
			t.Errorf("%+v holds something", s)
		}
		if err := s.Audit("orders.read"); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
			t.Error(err)
		}
	}
}
