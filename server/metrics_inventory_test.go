package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchward/latchward"
)

// Counting reads as much as there are tokens: once a minute must do, however often metrics are asked for. Numbers that
// cannot be counted are not shown.
func TestInventoryIsCountedOnceAMinute(t *testing.T) {
	now, reads, failing := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), 0, false
	var logs strings.Builder
	c := &inventoryCollector{
		now: func() time.Time { return now }, log: slog.New(slog.NewTextHandler(&logs, nil)),
		read: func(context.Context) (latchward.Inventory, error) {
			reads++
			if failing {
				return latchward.Inventory{}, errors.New("the database is away")
			}
			return latchward.Inventory{
				Tokens:   map[latchward.Status]int64{latchward.StatusActive: 7, latchward.StatusRevoked: int64(reads)},
				Adoption: latchward.Adoption{Users: 3, Adopters: 2},
			}, nil
		},
	}
	want := func(text string) {
		t.Helper()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(c)
		if got := gathered(t, registry); got != text {
			t.Errorf("shown %q, want %q", got, text)
		}
	}
	shown := func(revoked string) string {
		return "latchward_tokens active 7 latchward_tokens revoked " + revoked +
			" latchward_users 3 latchward_users_with_used_token 2"
	}
	want(shown("1"))
	now = now.Add(time.Minute - 1)
	want(shown("1"))
	now = now.Add(1)
	want(shown("2"))
	now, failing = now.Add(time.Minute), true
	want("")
	if !strings.Contains(logs.String(), "the database is away") {
		t.Errorf("the log says %q", logs.String())
	}
	failing = false
	want(shown("4"))
}

// gathered returns names, label values and values of gauges.
func gathered(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			words = append(words, family.GetName())
			for _, label := range metric.GetLabel() {
				words = append(words, label.GetValue())
			}
			words = append(words, fmt.Sprint(metric.GetGauge().GetValue()))
		}
	}
	return strings.Join(words, " ")
}
