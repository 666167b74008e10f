package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchward/latchward"
)

const (
	inventoryAge     = time.Minute // how old the numbers shown may be: counting reads as much as there are tokens
	inventoryTimeout = 5 * time.Second
)

// inventoryCollector shows how much there is of what (S1-19). When it cannot be counted nothing of it is shown, so that
// nobody takes old numbers for new ones.
type inventoryCollector struct {
	read func(context.Context) (latchward.Inventory, error)
	now  func() time.Time
	log  *slog.Logger

	mu      sync.Mutex
	known   latchward.Inventory
	counted time.Time // zero = never
}

var (
	tokensDesc = prometheus.NewDesc("latchward_tokens", "Tokens there are, by status.", []string{"status"}, nil)
	usersDesc  = desc("latchward_users", "Active users.")
	adoptDesc  = desc("latchward_users_with_used_token", "Active users who own a token that was ever accepted.")
)

// Describe implements prometheus.Collector.
func (c *inventoryCollector) Describe(to chan<- *prometheus.Desc) {
	to <- tokensDesc
	to <- usersDesc
	to <- adoptDesc
}

// Collect implements prometheus.Collector.
func (c *inventoryCollector) Collect(to chan<- prometheus.Metric) {
	known, ok := c.inventory()
	if !ok {
		return
	}
	for status, n := range known.Tokens {
		to <- prometheus.MustNewConstMetric(tokensDesc, prometheus.GaugeValue, float64(n), string(status))
	}
	to <- prometheus.MustNewConstMetric(usersDesc, prometheus.GaugeValue, float64(known.Users))
	to <- prometheus.MustNewConstMetric(adoptDesc, prometheus.GaugeValue, float64(known.Adopters))
}

func (c *inventoryCollector) inventory() (latchward.Inventory, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !c.counted.IsZero() && now.Sub(c.counted) < inventoryAge {
		return c.known, true
	}
	ctx, cancel := context.WithTimeout(context.Background(), inventoryTimeout)
	defer cancel()
	known, err := c.read(ctx)
	if err != nil {
		c.log.Warn("Tokens and users could not be counted for metrics.", "error", err)
		return known, false
	}
	c.known, c.counted = known, now
	return known, true
}
