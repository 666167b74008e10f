package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchward/latchward/demo"
)

func call(t *testing.T, api http.Handler, method, path, body string) (int, map[string]any) {
	t.Helper()
	recorder := httptest.NewRecorder()
	api.ServeHTTP(recorder, httptest.NewRequest(method, path, strings.NewReader(body)))
	var answer map[string]any
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s %s: the answer is not a JSON object: %v: %s", method, path, err, recorder.Body)
	}
	return recorder.Code, answer
}

// S2-12
func TestReads(t *testing.T) {
	api := demo.API()
	for path, want := range map[string]struct {
		status int
		member string
		count  int
	}{
		"/api/products?store_id=1":                     {200, "products", 9},
		"/api/products":                                {200, "products", 20},
		"/api/products?limit=3&offset=22":              {200, "products", 2},
		"/api/products?limit=100000":                   {200, "products", 24},
		"/api/products?brand_id=6&category_id=5&q=INK": {200, "products", 1},
		"/api/products?store_id=99":                    {200, "products", 0},
		"/api/products?store_id=x":                     {400, "", 0},
		"/api/products?offset=-1":                      {400, "", 0},
		"/api/products/1":                              {200, "", 0},
		"/api/products/999":                            {404, "", 0},
		"/api/products/meta/brands":                    {200, "brands", 6},
		"/api/stores":                                  {200, "stores", 3},
		"/api/stores/2":                                {200, "", 0},
		"/api/stores/9":                                {404, "", 0},
		"/api/stores/1/brands":                         {200, "brands", 3},
		"/api/stores/9/brands":                         {404, "", 0},
		"/api/categories":                              {200, "categories", 5},
		"/api/orders":                                  {200, "orders", 0},
		"/api/metrics":                                 {200, "readings", 0},
		"/api/nothing":                                 {404, "", 0},
		"/":                                            {404, "", 0},
	} {
		status, answer := call(t, api, "GET", path, "")
		if status != want.status {
			t.Errorf("GET %s: status %d, want %d", path, status, want.status)
		}
		if status >= 400 && answer["error"] == nil {
			t.Errorf("GET %s: no error in %v", path, answer)
		}
		if want.member == "" {
			continue
		}
		if list, ok := answer[want.member].([]any); !ok || len(list) != want.count {
			t.Errorf("GET %s: %q has %d entries, want %d", path, want.member, len(list), want.count)
		}
	}
}

// S1-20
func TestWrites(t *testing.T) {
	api := demo.API()
	for _, c := range []struct {
		path, body string
		want       int
	}{
		{"/api/orders", `{"product_id":1,"quantity":2}`, 201},
		{"/api/orders", `{"product_id":999,"quantity":2}`, 400},
		{"/api/orders", `{"product_id":1,"quantity":0}`, 400},
		{"/api/orders", `{"product_id":1,"quantity":1,"discount":50}`, 400},
		{"/api/orders", `{`, 400},
		{"/api/metrics", `{"device":"hive-7","metric":"weight_kg","value":38.5}`, 202},
		{"/api/metrics", `{"metric":"weight_kg","value":38.5}`, 400},
		{"/api/metrics", `{"device":"` + strings.Repeat("x", 70_000) + `"}`, 413},
	} {
		if status, answer := call(t, api, "POST", c.path, c.body); status != c.want {
			t.Errorf("POST %s %.60s: status %d, want %d: %v", c.path, c.body, status, c.want, answer)
		}
	}
	if _, answer := call(t, api, "GET", "/api/orders", ""); len(answer["orders"].([]any)) != 1 {
		t.Errorf("orders kept: %v", answer)
	}
	if _, answer := call(t, api, "GET", "/api/metrics", ""); len(answer["readings"].([]any)) != 1 {
		t.Errorf("readings kept: %v", answer)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	api := demo.API()
	for range 1_100 {
		call(t, api, "POST", "/api/metrics", `{"device":"d","metric":"m","value":1}`)
	}
	if _, answer := call(t, api, "GET", "/api/metrics", ""); len(answer["readings"].([]any)) != 1_000 {
		t.Errorf("%d readings kept, want the latest 1000", len(answer["readings"].([]any)))
	}
}

func TestWhoami(t *testing.T) {
	r := httptest.NewRequest("GET", "/api/whoami", nil)
	r.Header.Set("X-Latchward-Token-Id", "7")
	r.Header.Set("Authorization", "Bearer secret")
	recorder := httptest.NewRecorder()
	demo.API().ServeHTTP(recorder, r)
	if body := recorder.Body.String(); !strings.Contains(body, `"X-Latchward-Token-Id":"7"`) ||
		!strings.Contains(body, `"authorization_received":true`) || strings.Contains(body, "secret") {
		t.Errorf("whoami: %s", body)
	}
}

// S1-17
func TestUploadCountsBytes(t *testing.T) {
	body := bytes.NewReader(make([]byte, 3<<20))
	recorder := httptest.NewRecorder()
	demo.API().ServeHTTP(recorder, httptest.NewRequest("POST", "/api/uploads", body))
	if recorder.Code != 201 || !strings.Contains(recorder.Body.String(), `"bytes":3145728`) {
		t.Errorf("upload: %d %s", recorder.Code, recorder.Body)
	}
}

func TestEventsEndWithTheRequest(t *testing.T) {
	server := httptest.NewServer(demo.API())
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	first := make([]byte, 11)
	if _, err := answer.Body.Read(first); err != nil || string(first) != "event: tick" {
		t.Errorf("first bytes of the stream: %q, %v", first, err)
	}
	cancel() // Close above waits for the handler, so a stream that goes on fails the test by its time-out
}
