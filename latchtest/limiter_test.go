package latchtest

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"testing"

	"github.com/latchward/latchward"
)

func TestLocalLimiter(t *testing.T) {
	RunLimiter(t, func(*testing.T) latchward.Limiter {
		return latchward.NewLocalLimiter(latchward.LocalLimiterOptions{})
	})
}

// The contract asks for no more than it says: a limiter that has nothing in common with LocalLimiter keeps it too.
func TestReferenceLimiter(t *testing.T) {
	RunLimiter(t, func(*testing.T) latchward.Limiter { return &referenceLimiter{} })
}

// A limiter that breaks one promise fails the check of that promise.
func TestLimiterPromiseBroken(t *testing.T) {
	for _, p := range limiterPromises() {
		t.Run(p.name, func(t *testing.T) {
			failures, panicked := record(t.Context(), p.name, func(tb TB) {
				p.check(newLimiterTrial(tb, func() latchward.Limiter { return &referenceLimiter{breaks: p.name} }))
			})
			if panicked != nil {
				t.Fatalf("the check panicked: %v", panicked)
			}
			if len(failures) == 0 {
				t.Error("a limiter that breaks the promise passes its check")
			}
		})
	}
}

// Limiters that keep no promises fail every check: one that refuses everything, one that admits everything.
func TestLimiterWithoutPromises(t *testing.T) {
	for name, limiter := range map[string]latchward.Limiter{"refusing": idleLimiter{}, "admitting": idleLimiter{true}} {
		for _, p := range limiterPromises() {
			t.Run(name+"/"+p.name, func(t *testing.T) {
				failures, panicked := record(t.Context(), p.name, func(tb TB) {
					p.check(newLimiterTrial(tb, func() latchward.Limiter { return limiter }))
				})
				if panicked != nil || len(failures) == 0 {
					t.Errorf("%d failures, panic %v", len(failures), panicked)
				}
			})
		}
	}
}

// idleLimiter keeps no promises: it counts nothing.
type idleLimiter struct{ admits bool }

func (l idleLimiter) Take(
	context.Context, latchward.Instant, int64, []latchward.Budget,
) (latchward.LimitState, latchward.Receipt, error) {
	return latchward.LimitState{Admitted: l.admits}, latchward.Receipt{}, nil
}

func (l idleLimiter) Settle(context.Context, latchward.Instant, latchward.Receipt, []latchward.Budget, int64) error {
	return nil
}

func (l idleLimiter) Peek(
	context.Context, latchward.Instant, int64, []latchward.Budget,
) (latchward.LimitState, error) {
	return latchward.LimitState{Admitted: l.admits}, nil
}

func (l idleLimiter) States(
	context.Context, latchward.Instant, int64, []latchward.Budget, []latchward.LimitState,
) ([]latchward.LimitState, error) {
	return nil, nil
}

// The documentation of Limiter and the table name the same promises.
func TestLimiterPromisesDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../limit.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var documented, checked []string
	line := regexp.MustCompile(`(?m)^([A-Z]\w+): `)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == "Limiter" {
			for _, method := range spec.Type.(*ast.InterfaceType).Methods.List {
				for _, match := range line.FindAllStringSubmatch(method.Doc.Text(), -1) {
					documented = append(documented, method.Names[0].Name+"/"+match[1])
				}
			}
		}
		return true
	})
	for _, p := range limiterPromises() {
		checked = append(checked, p.name)
	}
	slices.Sort(documented)
	slices.Sort(checked)
	if len(documented) < 20 || !slices.Equal(documented, checked) {
		t.Errorf("documented: %v\nchecked: %v", documented, checked)
	}
}
