package latchtest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/latchward/latchward"
)

// mutant is a store that is right but for one thing.
type mutant struct {
	breaks string // names of promises that must notice, with blanks between them
	what   string // is wrong with it
	alter  func(a *altered)
}

func mutants() []mutant {
	return slices.Concat(
		txMutants(), concurrencyMutants(), factsMutants(), tokenMutants(), fieldMutants(), listMutants(), idleMutants(),
		saveMutants(), endMutants(), userMutants(), directoryMutants(), saveUserMutants(), auditMutants(), auditLogMutants(), keyMutants(),
		recordMutants(roles(), roleHooks()), recordMutants(groups(), groupHooks()), recordMutants(licenses(), licenseHooks()),
		deleteMutants(roles(), roleHooks()), deleteMutants(licenses(), licenseHooks()), policyMutants(),
		[]mutant{forgetsHolders("Role", "Roles"), forgetsHolders("License", "Licenses")},
		groupMutants(), seatMutants(), heldMutants(), groupOwnerMutants(), permissionMutants(),
		accountMutants(), sessionMutants(), signingMutants(), derivedMutants(), foreignMutants(),
		addUsageMutants(), cellMutants(), eventMutants(), countMutants(), removalMutants(),
	)
}

var errWrong = errors.New("something else")

func background() context.Context { return context.Background() }

// is reports whether err is an Error of that code.
func is(err error, code latchward.Code) bool { return latchward.ErrorCode(err) == code }

// remember returns f with the answers it gave first.
func remember[A comparable, R any](f func(context.Context, A) (R, error)) func(A) (R, error) {
	var mu sync.Mutex
	known := map[A]R{}
	return func(a A) (R, error) {
		mu.Lock()
		defer mu.Unlock()
		if r, ok := known[a]; ok {
			return r, nil
		}
		r, err := f(background(), a)
		if err == nil {
			known[a] = r
		}
		return r, err
	}
}

// found returns f with nothing and no error in place of not_found.
func found[A, R any](f func(context.Context, A) (R, error)) func(A) (R, error) {
	return func(a A) (R, error) {
		r, err := f(background(), a)
		if is(err, latchward.CodeNotFound) {
			err = nil
		}
		return r, err
	}
}
