package rest

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// The page that shows the OpenAPI document. It loads nothing from anywhere else, and its policy keeps it from trying.
var (
	//go:embed docs/page.html
	docsPage []byte
	//go:embed docs/start.js
	docsStart []byte
	//go:embed docs/scalar.js.gz
	docsScalar []byte // compressed: 1 MB instead of 3.6
)

// docsPolicy leaves styles to the script that makes the page: it sets them inline.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

func (h *handler) documentRoutes(ours string, others []route) []route {
	const get, page, script = http.MethodGet, "text/html; charset=utf-8", "text/javascript; charset=utf-8"
	start, scalar := h.fixedReply(script, docsStart), h.compressed(script, docsScalar)
	list := []route{
		{get, ours + "/openapi.json", anyone, "openapi", "This document", h.fixedReply(jsonMedia, nil)},
		{get, ours + "/docs", anyone, "docs", "This document, to read", h.fixedReply(page, docsPage)},
		{get, ours + "/docs/start.js", anyone, "docsStart", "A script of that page", start},
		{get, ours + "/docs/scalar.js", anyone, "docsScalar", "A script of that page", scalar},
	}
	document := sync.OnceValue(func() []byte { return h.document(append(others[:len(others):len(others)], list...)) })
	list[0].write = func(w http.ResponseWriter, r *http.Request) error {
		return h.fixedReply(jsonMedia, document()).write(w, r)
	}
	return list
}

func (h *handler) document(routes []route) []byte {
	version := h.Version
	if version == "" {
		version = "dev"
	}
	text, err := json.MarshalIndent(newOpenAPI(version, routes), "", "  ")
	if err != nil { // it is made of texts and numbers
		panic(err)
	}
	return append(text, '\n')
}

// fixedReply makes an operation that always answers the same.
func (h *handler) fixedReply(media string, body []byte) operation {
	plain, _, _ := strings.Cut(media, ";")
	return operation{status: http.StatusOK, media: plain, write: func(w http.ResponseWriter, _ *http.Request) error {
		header := w.Header()
		header.Set("Content-Type", media)
		header.Set("Content-Length", strconv.Itoa(len(body)))
		header.Set("Content-Security-Policy", docsPolicy)
		header.Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(body) // a client that is gone needs no answer
		return nil
	}}
}

// compressed is fixedReply for a body that is kept compressed, and unpacked for the few who cannot.
func (h *handler) compressed(media string, packed []byte) operation {
	o := h.fixedReply(media, packed)
	write := o.write
	o.write = func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			w.Header().Set("Content-Encoding", "gzip")
			return write(w, r)
		}
		reader, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return err
		}
		body, err := io.ReadAll(reader)
		if err != nil {
			return err
		}
		return h.fixedReply(media, body).write(w, r)
	}
	return o
}

func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(coding), ";")
		weight = strings.ReplaceAll(weight, " ", "")
		if name == "gzip" && weight != "q=0" && weight != "q=0.0" {
			return true
		}
	}
	return false
}
