package demo

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// trafficInterval spaces the sample requests: enough to see something move, far below every limit.
const trafficInterval = 700 * time.Millisecond

// Traffic sends one sample request after another to the API at url, as different holders of the sample tokens, until
// ctx is done. Answers are read and ignored; some of them are refusals, so that there is something to see.
func Traffic(ctx context.Context, client *http.Client, url string, tokens Tokens) {
	requests := sampleRequests(tokens)
	ticker := time.NewTicker(trafficInterval)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			requests[n%len(requests)].send(ctx, client, url)
		}
	}
}

type sampleRequest struct {
	secret             latchward.Secret
	agent              string
	method, path, body string
}

func sampleRequests(t Tokens) []sampleRequest {
	wordPress, ios, partner, hive := t.WordPress.Secret, t.Mobile.Secret, t.Partner.Secret, t.Device.Secret
	const plugin, app, job, firmware = "WordPress/6.8", "ShopApp/4.2 (iOS)", "partner-sync/1.0", "esp32-hive/0.9"
	const till = "till/2.1"
	return []sampleRequest{
		{wordPress, plugin, "GET", "/api/products?store_id=1", ""},
		{ios, app, "GET", "/api/products/meta/brands", ""},
		{hive, firmware, "POST", "/api/metrics", `{"device":"hive-7","metric":"weight_kg","value":38.4}`},
		{wordPress, plugin, "GET", "/api/stores/1/brands", ""},
		{ios, app, "GET", "/api/products/21", ""},
		{ios, app, "POST", "/api/orders", `{"product_id":21,"quantity":1}`},
		{wordPress, plugin, "GET", "/api/categories", ""},
		{hive, firmware, "POST", "/api/metrics", `{"device":"hive-7","metric":"temperature_c","value":34.6}`},
		{ios, app, "GET", "/api/products/999", ""},
		{wordPress, plugin, "GET", "/api/orders", ""},
		{t.Till.Secret, till, "GET", "/api/v1/stock", ""},
		{t.Till.Secret, till, "GET", "/api/v1/protected", ""},
		{partner, job, "GET", "/api/products", ""},
		{ios, app, "GET", "/api/stores", ""},
	}
}

func (s *sampleRequest) send(ctx context.Context, client *http.Client, url string) {
	r, err := http.NewRequestWithContext(ctx, s.method, url+s.path, strings.NewReader(s.body))
	if err != nil {
		return
	}
	r.Header.Set("Authorization", "Bearer "+s.secret.Expose())
	r.Header.Set("User-Agent", s.agent)
	if s.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := client.Do(r)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
}
