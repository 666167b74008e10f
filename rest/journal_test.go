package rest_test

import (
	"context"

	"github.com/latchward/latchward"
)

// forgetful is a journal that takes everything and keeps nothing.
type forgetful struct{}

func (forgetful) Node() string                          { return "forgetful" }
func (forgetful) Append(*latchward.UsageEvent) bool     { return true }
func (forgetful) Release(latchward.JournalOffset) error { return nil }
func (forgetful) Read(
	context.Context, latchward.JournalOffset, func([]latchward.UsageEvent, latchward.JournalOffset) error,
) error {
	return nil
}

// full is a journal that takes a number of events and refuses the others.
type full struct {
	forgetful
	left *int
}

func (j full) Append(*latchward.UsageEvent) bool {
	*j.left--
	return *j.left >= 0
}
