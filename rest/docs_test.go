package rest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

type document struct {
	OpenAPI string
	Info    struct{ Version string }
	Paths   map[string]map[string]struct {
		OperationID string
		Security    []map[string][]string
		Parameters  []struct{ Name, In string }
		RequestBody *struct {
			Content map[string]struct{ Schema json.RawMessage }
		}
		Responses map[string]struct {
			Content map[string]struct{ Schema json.RawMessage }
		}
	}
	Components struct {
		Schemas         map[string]json.RawMessage
		SecuritySchemes map[string]map[string]string
	}
}

func readDocument(t *testing.T, w *world) (document, string) {
	t.Helper()
	r := w.do(http.MethodGet, "/api/latchward/openapi.json", "", "")
	return decode[document](t, r, 200), r.Body.String()
}

// S5-10, S1-09: the document and the routes say the same, neither says more.
func TestOpenAPICoversTheRoutes(t *testing.T) {
	w := newWorld(t, nil)
	d, _ := readDocument(t, w)
	if d.OpenAPI != "3.1.0" || d.Info.Version != "1.2.3" {
		t.Errorf("OpenAPI %s of version %s", d.OpenAPI, d.Info.Version)
	}
	scheme := d.Components.SecuritySchemes["bearerAuth"]
	if scheme["type"] != "http" || scheme["scheme"] != "bearer" || scheme["bearerFormat"] != "Opaque" {
		t.Errorf("scheme %v", scheme)
	}
	documented := 0
	for _, path := range d.Paths {
		documented += len(path)
	}
	routes := rest.Routes(w.handler)
	if documented != len(routes) {
		t.Errorf("%d operations are documented, %d are served", documented, len(routes))
	}
	ids := map[string]bool{}
	for _, r := range routes {
		o, ok := d.Paths[r.Path][strings.ToLower(r.Method)]
		if !ok || o.OperationID != r.ID || ids[r.ID] {
			t.Errorf("%s %s is documented as %q", r.Method, r.Path, o.OperationID)
		}
		ids[r.ID] = true
		if protected := len(o.Security) == 1 && o.Security[0]["bearerAuth"] != nil; protected == r.Public {
			t.Errorf("%s: security %v", r.ID, o.Security)
		}
		for _, status := range []string{"401", "403"} {
			if _, ok := o.Responses[status].Content["application/problem+json"]; ok == r.Public {
				t.Errorf("%s: %s documented is %v", r.ID, status, ok)
			}
		}
		if (o.RequestBody != nil) != (r.Body || r.Lines) {
			t.Errorf("%s: request body %+v", r.ID, o.RequestBody)
		}
		if strings.Contains(r.Path, "{") && (len(o.Parameters) == 0 || o.Parameters[0].In != "path" ||
			!strings.Contains(r.Path, "{"+o.Parameters[0].Name+"}")) {
			t.Errorf("%s: parameters %+v", r.ID, o.Parameters)
		}
	}
}

// Every reference leads somewhere, and every schema is led to.
func TestOpenAPIReferences(t *testing.T) {
	d, text := readDocument(t, newWorld(t, nil))
	used := map[string]bool{}
	for _, match := range regexp.MustCompile(`"\$ref": "#/components/schemas/([^"]*)"`).FindAllStringSubmatch(text, -1) {
		used[match[1]] = true
		if _, ok := d.Components.Schemas[match[1]]; !ok {
			t.Errorf("%s is no schema", match[1])
		}
	}
	if len(used) != len(d.Components.Schemas) || len(used) < 30 {
		t.Errorf("%d schemas, %d of them used", len(d.Components.Schemas), len(used))
	}
	if strings.Contains(text, `"type": "array"`) && !strings.Contains(text, `"items"`) {
		t.Error("arrays of nothing")
	}
}

// What the API answers has the members that the document names, and no others.
func TestRepliesMatchTheDocument(t *testing.T) {
	schemas := map[string]struct {
		Properties map[string]json.RawMessage
		Required   []string
	}{}
	d, _ := readDocument(t, newWorld(t, nil))
	for name, text := range d.Components.Schemas {
		s := schemas[name]
		must(t, json.Unmarshal(text, &s))
		schemas[name] = s
	}
	eachRoute(t, func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase) {
		if !r.Reply {
			return
		}
		if c.needs != nil {
			c.needs(w)
		}
		var schema struct {
			Ref string `json:"$ref"`
		}
		content := d.Paths[r.Path][strings.ToLower(r.Method)].Responses
		status := strconv.Itoa(c.status)
		must(t, json.Unmarshal(content[status].Content["application/json"].Schema, &schema))
		s := schemas[strings.TrimPrefix(schema.Ref, "#/components/schemas/")]
		reply := decode[map[string]json.RawMessage](t, w.do(r.Method, c.target, w.bearer(r), c.body), c.status)
		for name := range reply {
			if _, ok := s.Properties[name]; !ok {
				t.Errorf("%s is answered and not documented", name)
			}
		}
		for _, name := range s.Required {
			if _, ok := reply[name]; !ok {
				t.Errorf("%s is documented as always there", name)
			}
		}
	})
}

// Bounds in the document are those that are checked, null is documented where it is accepted.
func TestOpenAPIBounds(t *testing.T) {
	d, _ := readDocument(t, newWorld(t, nil))
	for schema, want := range map[string][]string{
		"NewToken": {
			limits("rate_limit", 1, latchward.MaxRateLimit), limits("idle_timeout_days", 1, latchward.MaxIdleTimeoutDays),
			`"allowed_endpoints":{"type":["array","null"],"items":{"type":"string"}`,
			`"expires_at":{"type":["string","null"],"format":"date-time"`},
		"TokenChange": {`"active":{"type":"boolean"`, `"additionalProperties":false`},
		"TokenOwner":  {`"additionalProperties":false`},
		"Token": {`"allowed_endpoints":{"type":["array","null"]`, `"tags":{"type":"array"`,
			`"status":{"type":"string","enum":["active","inactive","expired","revoked"]}`,
			`"inactive_reason":{"type":["string","null"],"enum":["manual","idle","reuse","leak","policy",null]}`},
		"VerifyRequest": {`"cost":{"type":["integer","null"],"minimum":1`, `"required":["token"]`},
		"VerifyBatch":   {`"#/components/schemas/VerifyRequest"},"minItems":1,"maxItems":1000}`},
		"Verdict":       {`"token":{"anyOf":[{"$ref":"#/components/schemas/VerdictToken"},{"type":"null"}]`},
		"Problem":       {`"required":["type","title","status","detail","error","code"]`},
	} {
		var compact bytes.Buffer
		must(t, json.Compact(&compact, d.Components.Schemas[schema]))
		for _, text := range want {
			if !strings.Contains(compact.String(), text) {
				t.Errorf("%s lacks %s: %s", schema, text, &compact)
			}
		}
	}
}

// limits is the schema of an integer that may be null.
func limits(name string, least, most int64) string {
	return fmt.Sprintf(`"%s":{"type":["integer","null"],"minimum":%d,"maximum":%d`, name, least, most)
}

// The bounds of parameters are the domain's.
func TestParameterBounds(t *testing.T) {
	_, text := readDocument(t, newWorld(t, nil))
	for _, most := range []int{latchward.MaxPage, latchward.MaxUsageDays, rest.MaxBatch} {
		items := fmt.Sprintf(`"maxItems": %d`, most)
		if !strings.Contains(text, fmt.Sprintf(`"maximum": %d`, most)) && !strings.Contains(text, items) {
			t.Errorf("%d bounds nothing", most)
		}
	}
}

// The page of the reference loads from here alone, and its policy lets it do nothing else.
func TestDocsPage(t *testing.T) {
	w := newWorld(t, nil)
	page := w.do(http.MethodGet, "/api/latchward/docs", "", "")
	policy := page.Header().Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self';", "connect-src 'self'",
		"frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("policy %q lacks %s", policy, part)
		}
	}
	for _, match := range regexp.MustCompile(`(src|href)="([^"]*)"`).FindAllStringSubmatch(page.Body.String(), -1) {
		if match[2] == "data:," { // no icon
			continue
		}
		r := w.do(http.MethodGet, "/api/latchward/"+match[2], "", "")
		if r.Code != http.StatusOK {
			t.Errorf("%s: status %d", match[2], r.Code)
		}
	}
	start := w.do(http.MethodGet, "/api/latchward/docs/start.js", "", "").Body.String()
	for _, part := range []string{`showDeveloperTools: "never"`, "withDefaultFonts: false", "telemetry: false"} {
		if !strings.Contains(start, part) {
			t.Errorf("the start script lacks %s", part)
		}
	}
}

func TestDocsScript(t *testing.T) {
	w := newWorld(t, nil)
	get := func(accepted string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/api/latchward/docs/scalar.js", nil)
		r.Header.Set("Accept-Encoding", accepted)
		return w.serve(r)
	}
	packed := get("br, gzip")
	if packed.Header().Get("Content-Encoding") != "gzip" || packed.Header().Get("Vary") != "Accept-Encoding" ||
		packed.Body.Len() > 1<<20 {
		t.Errorf("headers %v, %d bytes", packed.Header(), packed.Body.Len())
	}
	reader, err := gzip.NewReader(packed.Body)
	must(t, err)
	want, err := io.ReadAll(reader)
	must(t, err)
	for _, accepted := range []string{"", "br, gzip; q=0"} {
		plain := get(accepted)
		if plain.Header().Get("Content-Encoding") != "" || !bytes.Equal(plain.Body.Bytes(), want) {
			t.Errorf("%q: headers %v, %d bytes", accepted, plain.Header(), plain.Body.Len())
		}
	}
	if !slices.Contains(strings.Fields(string(want[:1000])), "1.46.4") {
		t.Errorf("it is another version: %.300s", want)
	}
}
