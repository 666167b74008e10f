// Command loadpeer is what scripts/load measures Latchward beside, and what it measures latencies with:
//
//	loadpeer bare ADDRESS BYTES          a handler of net/http that reads a request and answers with so many bytes
//	loadpeer proxy ADDRESS UPSTREAM      httputil.ReverseProxy on a tuned transport
//	loadpeer upstream ADDRESS            answers every request with the same few bytes, for as little as it can
//	loadpeer pace URL TOKENS RATE TIME   sends GETs at a fixed rate, whatever the answers take, and prints p50 and p99 in ms
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "loadpeer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	command := strings.Join(args[:min(1, len(args))], "")
	switch {
	case command == "bare" && len(args) == 3:
		return serveBare(args[1], args[2])
	case command == "proxy" && len(args) == 3:
		return serveProxy(args[1], args[2])
	case command == "upstream" && len(args) == 2:
		return serveUpstream(args[1])
	case command == "pace" && len(args) == 5:
		return pace(args[1], args[2], args[3], args[4])
	}
	return fmt.Errorf("unknown arguments %q: see the comment of this program", args)
}

func serveBare(address, length string) error {
	n, err := strconv.Atoi(length)
	if err != nil {
		return err
	}
	answer := []byte(strings.Repeat("x", n))
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
}

const bufferSize = 32 << 10

// serveProxy is what one writes who only wants a fast reverse proxy, on a transport with the settings of ours.
func serveProxy(address, upstream string) error {
	target, err := url.Parse(upstream)
	if err != nil {
		return err
	}
	return http.ListenAndServe(address, &httputil.ReverseProxy{
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 512, DisableCompression: true, ForceAttemptHTTP2: true,
			IdleConnTimeout: 90 * time.Second, WriteBufferSize: bufferSize, ReadBufferSize: bufferSize,
		},
		BufferPool: &buffers{},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		},
	})
}

// buffers implements httputil.BufferPool.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buffer[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(buffer []byte) { b.pool.Put((*[bufferSize]byte)(buffer)) }

func serveUpstream(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go answerAll(c)
	}
}
