package latchtest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// recorder is a TB that remembers failures instead of failing, so that a test can be tested.
type recorder struct {
	name string
	ctx  context.Context
	mu   sync.Mutex
	logs []string // of failures
}

func (r *recorder) Helper()                  {}
func (r *recorder) Name() string             { return r.name }
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Logf(string, ...any)      {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// record runs check in a goroutine of its own and returns its failures. A panic is none: what a check meets in a
// broken store it has to report.
func record(ctx context.Context, name string, check func(TB)) (failures []string, panicked any) {
	r := &recorder{name: name, ctx: ctx}
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		check(r)
	}()
	panicked = <-done
	return r.logs, panicked
}
