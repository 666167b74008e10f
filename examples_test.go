//go:build servers && !race

package latchward_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestExamples compiles the programs in examples, which have a go.mod of their own, runs each, and calls it as the
// comment at its head says (S5-08, S5-13, B-17).
func TestExamples(t *testing.T) {
	programs := t.TempDir()
	for _, command := range [][]string{{"vet", "./..."}, {"build", "-o", programs, "./..."}} {
		build := exec.Command("go", command...)
		build.Dir = "examples"
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", command, err, out)
		}
	}
	for _, name := range []string{"nethttp", "chi", "gin", "echo"} {
		t.Run(name, func(t *testing.T) {
			p := startExample(t, filepath.Join(programs, name))
			id, token := p.createToken(t, `{"name":"First","allowed_endpoints":["GET /v1/*"],"rate_limit":50}`)
			p.expect(t, "/api/v1/protected", token, 200, `"Message":"Access granted for user:1"`)
			p.expect(t, "/api/v1/protected", "", 401, `"code":"missing"`)
			p.expect(t, "/api/v1/protected", "lw_wrong", 401, `"code":"invalid_token"`)
			p.expect(t, "/api/api-tokens/"+id, p.jwt, 200, `"First"`)
			p.expect(t, "/api/api-tokens", token, 403, `"code":"forbidden"`)
			p.expect(t, "/api/api-tokens/"+id+"/usage", p.jwt, 200, `"status_code":200`)
			p.do(t, http.MethodPost, "/api/api-tokens/"+id+"/revoke", p.jwt, "{}")
			p.expect(t, "/api/v1/protected", token, 401, `"code":"invalid_token"`)
		})
	}
	t.Run("grpc", func(t *testing.T) {
		callExampleOfGRPC(t, startExample(t, filepath.Join(programs, "grpc"), "-grpc", "127.0.0.1:0"))
	})
	if found, err := filepath.Glob("examples/*/main.go"); err != nil || len(found) != 5 {
		t.Errorf("there are %v: add new programs to this test", found)
	}
}

// example is a running program.
type example struct{ url, jwt, grpc string }

func startExample(t *testing.T, program string, args ...string) *example {
	t.Helper()
	args = append(args, "-listen", "127.0.0.1:0", "-data", filepath.Join(t.TempDir(), "data"))
	command := exec.Command(program, args...)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := command.Wait(); err != nil {
			t.Errorf("%s ended with %v", program, err)
		}
	})
	p := &example{}
	for lines := bufio.NewScanner(out); p.jwt == "" && lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch name {
		case "URL":
			p.url = value
		case "GRPC":
			p.grpc = value
		case "ADMIN_JWT":
			p.jwt = value
		}
	}
	return p
}

func (p *example) do(t *testing.T, method, path, credential, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func (p *example) expect(t *testing.T, path, credential string, status int, part string) {
	t.Helper()
	if got, text := p.do(t, http.MethodGet, path, credential, ""); got != status || !strings.Contains(text, part) {
		t.Errorf("GET %s: %d %s, want %d with %s", path, got, text, status, part)
	}
}

func (p *example) createToken(t *testing.T, body string) (id, secret string) {
	t.Helper()
	code, text := p.do(t, http.MethodPost, "/api/api-tokens", p.jwt, body)
	var created struct {
		Token struct {
			ID    json.Number
			Token string
		}
	}
	if err := json.Unmarshal([]byte(text), &created); err != nil || code != http.StatusCreated {
		t.Fatalf("creating a token: %d %s", code, text)
	}
	return created.Token.ID.String(), created.Token.Token
}

func callExampleOfGRPC(t *testing.T, p *example) {
	id, token := p.createToken(t, `{"name":"First","allowed_endpoints":["/grpc.health.v1.Health/*"]}`)
	conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := health.NewHealthClient(conn)
	good := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	check := func(ctx context.Context) (codes.Code, codes.Code) {
		_, unary := client.Check(ctx, &health.HealthCheckRequest{})
		stream, err := client.Watch(ctx, &health.HealthCheckRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return status.Code(unary), status.Code(err)
	}
	if unary, stream := check(good); unary != codes.OK || stream != codes.OK {
		t.Errorf("with a token: %s and %s", unary, stream)
	}
	if unary, stream := check(t.Context()); unary != codes.Unauthenticated || stream != codes.Unauthenticated {
		t.Errorf("without: %s and %s", unary, stream)
	}
	p.do(t, http.MethodPost, "/api/api-tokens/"+id+"/revoke", p.jwt, "{}")
	if unary, stream := check(good); unary != codes.Unauthenticated || stream != codes.Unauthenticated {
		t.Errorf("once it is revoked: %s and %s", unary, stream)
	}
}
