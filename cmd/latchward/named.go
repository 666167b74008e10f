package main

import (
	"strconv"

	"github.com/latchward/latchward"
)

// named is something that people call by its name or by its id.
type named struct {
	id   int64
	name string
}

func namedOf[T any](list []T, of func(T) named) []named {
	all := make([]named, len(list))
	for i, one := range list {
		all[i] = of(one)
	}
	return all
}

// idOf reads an id, or finds what has that name.
func idOf(text, what string, list func() ([]named, error)) (int64, error) {
	if id, err := strconv.ParseInt(text, 10, 64); err == nil {
		return id, nil
	}
	all, err := list()
	if err != nil {
		return 0, err
	}
	for _, one := range all {
		if one.name == text {
			return one.id, nil
		}
	}
	return 0, latchward.Errorf(latchward.CodeNotFound, "there is no %s %q", what, text)
}
