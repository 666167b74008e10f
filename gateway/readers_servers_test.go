//go:build servers

package gateway_test

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

// reader is a server that serves files under its path /v1 and says in X-Read which one a request stands for.
type reader struct {
	name   string
	start  func(*testing.T, shelf) *url.URL
	decode func(string) (string, error) // of X-Read; nil = it is sent as it is
}

// readers are servers as people put behind a gateway. Each resolves paths with its own code.
var readers = []reader{
	{"nginx", startNginx, nil},
	{"Node", startNode, url.PathUnescape},
	{"Python http.server", startPython, url.PathUnescape},
	{"Go http.FileServer", startFileServer, url.PathUnescape},
	{"Go http.ServeMux", startServeMux, url.PathUnescape},
}

// fileNames are names of files, among them those that a careless reader makes of something else.
var fileNames = []string{
	"1", "2", "admin.txt", "a b", "é", "~", "a@b", "*", "%", "%2F", "...", "a+b", "(1)", "1?x=1", "1#", "1;x=1", `1\2`, "%31",
}

// shelf is a folder with files, in root, each of which says where it is.
type shelf struct{ folder, root string }

const fileSays = "the file "

func newShelf(t *testing.T) shelf {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := shelf{folder, filepath.Join(folder, "root")}
	for _, directory := range []string{"/", "/products", "/reports", "/reports/products", "/admin"} {
		if err := os.MkdirAll(s.root+"/v1"+directory, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range fileNames {
			path := strings.TrimSuffix(directory, "/") + "/" + name
			if err := os.WriteFile(s.root+"/v1"+path, []byte(fileSays+path), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

func startNginx(t *testing.T, s shelf) *url.URL {
	t.Helper()
	return address(runNginx(t, s.folder, "testdata/readers/nginx.conf"))
}

// runNginx runs nginx with a configuration in which pairs of words are replaced, and returns its address. It is handed a
// listener, in the way in which one nginx hands it to the next, so that no port has to be guessed.
func runNginx(t *testing.T, folder, template string, pairs ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	text, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	pairs = append(pairs, "FOLDER", folder, "ADDRESS", l.Addr().String())
	settings := strings.NewReplacer(pairs...).Replace(string(text))
	if os.Geteuid() == 0 {
		settings = "user root;\n" + settings // or it would lay down the right to read the folder
	}
	configuration := filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(configuration, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	// nginx does not end with its standard input, so that a shell sees to it.
	const script = `"$0" -c "$1" -p "$2" & server=$!; cat; kill $server; wait $server`
	c := exec.Command("sh", "-c", script, program(t, "nginx"), configuration, folder)
	c.ExtraFiles, c.Env = []*os.File{socket}, append(os.Environ(), "NGINX=3;")
	startProcess(t, c)
	return l.Addr().String()
}

func startNode(t *testing.T, s shelf) *url.URL {
	t.Helper()
	port := startProcess(t, exec.Command(program(t, "node"), "testdata/readers/node.js", s.root))
	return address("127.0.0.1:" + readLine(t, port))
}

func startPython(t *testing.T, s shelf) *url.URL {
	t.Helper()
	port := startProcess(t, exec.Command(program(t, "python3"), "testdata/readers/python.py", s.root))
	return address("127.0.0.1:" + readLine(t, port))
}

// program returns where a program is; the suite needs it.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} { // which users' PATH leaves out on Debian
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Fatalf("%s is missing: scripts/install-readers installs it, or says how", name)
	return ""
}

// startProcess starts a server that ends when its standard input does, also when that is because the test died.
func startProcess(t *testing.T, c *exec.Cmd) (stdout io.Reader) {
	t.Helper()
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err = c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = t.Output()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = c.Wait()
	})
	return stdout
}

func readLine(t *testing.T, r io.Reader) string {
	t.Helper()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("the server does not say where it is: %v", err)
	}
	return strings.TrimSpace(line)
}

func address(host string) *url.URL { return &url.URL{Scheme: "http", Host: host, Path: "/v1"} }

func startFileServer(t *testing.T, s shelf) *url.URL {
	t.Helper()
	return address(serveReader(t, fileServer(s)))
}

func startServeMux(t *testing.T, s shelf) *url.URL {
	t.Helper()
	return address(serveReader(t, serveMux(s)))
}

func serveReader(t *testing.T, h http.Handler) string {
	t.Helper()
	server := &http.Server{Handler: h}
	return serve(t, server, server.Serve)
}

// fileServer is http.FileServer with an eye on the file that it opens first.
func fileServer(s shelf) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.FileServer(&watched{FileSystem: http.Dir(s.root), root: s.root, w: w, r: r}).ServeHTTP(w, r)
	})
}

type watched struct {
	http.FileSystem
	root string
	w    http.ResponseWriter
	r    *http.Request
}

// Open implements http.FileSystem.
func (f *watched) Open(name string) (http.File, error) {
	if strings.HasSuffix(f.r.URL.Path, "/") && name != "/" {
		name += "/" // it serves a folder or nothing then
	}
	told := cmp.Or(f.w.Header().Get("X-Read"), url.PathEscape(f.root+name))
	f.w.Header().Set("X-Read", told)
	return f.FileSystem.Open(name)
}

// serveMux reads paths with a wildcard.
func serveMux(s shelf) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/{rest...}", func(w http.ResponseWriter, r *http.Request) {
		file := s.root + "/v1/" + r.PathValue("rest")
		w.Header().Set("X-Read", url.PathEscape(file))
		content, err := os.ReadFile(file)
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(content)
	})
	return mux
}

// read returns the judged path of the file that a reader's answer is about.
func (r *reader) read(s shelf, a *answer) (string, error) {
	text, err := a.header.Get("X-Read"), error(nil)
	if r.decode != nil {
		text, err = r.decode(text)
	}
	path, under := strings.CutPrefix(text, s.root+"/v1")
	if err != nil || !under || len(a.header["X-Read"]) != 1 {
		return "", fmt.Errorf("%s answers %d and says of the file %q (%v): %v", r.name, a.status, a.header["X-Read"], err, a.header)
	}
	return cmp.Or(path, "/"), nil
}

// canonicalOf returns the path that stands for a file and nothing else; ok is false if there is none.
func canonicalOf(file string) (path string, ok bool) {
	path, err := latchward.CanonicalPath((&url.URL{Path: file}).EscapedPath())
	return path, err == nil
}
